"""Calculators of other packages: made by name, and run by every verb."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.calculators.lj import LennardJones
from ase.io import read, write

from ase_geomformer.cli import main
from ase_geomformer.external import calculator_by_name, origin

LJ = "{sigma: 2.3, epsilon: 0.4, rc: 6.0}"


@pytest.fixture
def copper(tmp_path: Path) -> str:
    atoms = bulk("Cu", cubic=True) * (2, 1, 1)
    atoms.rattle(0.05, seed=1)
    write(tmp_path / "cu.extxyz", atoms)
    return str(tmp_path / "cu.extxyz")


def result_of(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "result.json").read_text())
    return found


def run(verb: str, *arguments: str) -> int:
    return main([verb, *arguments, "--progress", "false"])


@pytest.mark.quick
@pytest.mark.parametrize(
    "name", ["lj", "LJ", "ase.calculators.lj:LennardJones"], ids=["name", "capitals", "path"]
)
def test_a_calculator_is_made_with_its_arguments(name: str) -> None:
    atoms = bulk("Cu", cubic=True)
    made = calculator_by_name(name, {"sigma": 2.3, "epsilon": 0.4})
    expected = LennardJones(sigma=2.3, epsilon=0.4).get_property("energy", atoms)
    assert made.get_property("energy", atoms) == expected
    assert origin(made)["name"] == name
    assert origin(made)["arguments"] == {"sigma": 2.3, "epsilon": 0.4}
    assert list(origin(made)["package"]) == ["ase"]
    assert "name" not in origin(EMT())


@pytest.mark.parametrize(
    ("name", "arguments", "error", "message"),
    [
        ("emtt", {}, ValueError, r"no calculator 'emtt'; did you mean 'emt'\?"),
        ("lj", {"sigmaa": 1.0, "sigma": "x"}, ValueError, r"'lj' cannot be made with .*'x'"),
        ("no_such_package.ase:Thing", {}, ImportError, "install the package that has no_such_pa"),
        ("ase.calculators.lj:LennardJone", {}, ValueError, r"did you mean LennardJones\?"),
        ("ase.calculators.lj:__name__", {}, ValueError, "cannot be called"),
        ("ase.atoms:Atoms", {}, ValueError, "of type Atoms, not an ASE calculator"),
        (":emt", {}, ValueError, "not of the form package.module:factory"),
        ("asap", {}, ImportError, "asap.*install"),
        ("mace_mp", {}, ImportError, "pip install mace-torch"),
    ],
)
def test_what_cannot_be_made_is_told(
    name: str, arguments: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        calculator_by_name(name, arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "give either --potential NAME or"),
        (["--potential", "so3lr", "--calculator", "emt"], "not both"),
        (["--potential", "so3lr", "--calculator_args", "{a: 1}"], "calculator_args are for a"),
        (["--calculator", "emt", "--skin", "1.0"], "skin = 1.0 is for potentials"),
        (["--calculator", "emt", "--device", "cuda"], "device = 'cuda' is for potentials"),
    ],
)
def test_exactly_one_source_with_its_own_options(
    arguments: list[str], message: str, copper: str, tmp_path: Path, capsys: Any
) -> None:
    output = str(tmp_path / "out")
    for verb in ("md", "relax", "singlepoint"):
        assert main([verb, *arguments, "--structure", copper, "--output", output]) == 2
        assert message in capsys.readouterr().err
    assert not Path(output).exists()


def test_a_file_alone_chooses_no_code(copper: str, tmp_path: Path, capsys: Any) -> None:
    file = tmp_path / "run.yaml"
    file.write_text(yaml.safe_dump({"calculator": "lj", "structure": copper, "fmax": 0.1}))
    given = ["relax", "--config", str(file), "--output", str(tmp_path / "out"), "--progress=false"]
    assert main(given) == 2
    assert "add --calculator lj" in capsys.readouterr().err
    assert main([*given, "--calculator", "lj", "--calculator_args", LJ]) == 0


@pytest.mark.parametrize(
    ("verb", "option"),
    [("label", "teacher"), ("learn", "teacher"), ("relax-many", "cluster"), ("md", "calculator")],
)
def test_code_planted_in_a_file_of_options_does_not_run(
    verb: str, option: str, copper: str, tmp_path: Path, capsys: Any, monkeypatch: Any
) -> None:
    (tmp_path / "planted.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    monkeypatch.syspath_prepend(tmp_path)
    content = {option: "planted:make", "structure": copper, "output": str(tmp_path / "out")}
    (tmp_path / "run.yaml").write_text(yaml.safe_dump(content))
    assert main([verb, "--config", str(tmp_path / "run.yaml")]) == 2
    assert f"add --{option} planted:make" in capsys.readouterr().err
    assert not (tmp_path / "ran").exists()
    assert not (tmp_path / "out").exists()


def test_single_points_equal_ase(copper: str, tmp_path: Path) -> None:
    common = ["--structure", copper, "--output", str(tmp_path / "out")]
    assert main(["singlepoint", "--calculator", "emt", *common]) == 0
    found, atoms = result_of(tmp_path / "out"), read(copper)
    atoms.calc = EMT()
    assert found["energy_eV"] == pytest.approx(atoms.get_potential_energy(), abs=1e-12)
    assert found["energies_eV"] is None
    np.testing.assert_allclose(found["forces_eV_per_A"], atoms.get_forces(), atol=1e-12)
    np.testing.assert_allclose(found["stress_eV_per_A3"], atoms.get_stress(), atol=1e-12)
    made_by = found["provenance"]["potential"]["made_by"]
    assert made_by["name"] == "emt"
    assert list(made_by["package"]) == ["ase"]


def test_dynamics_resumes_to_the_bit_with_the_same_arguments_only(
    copper: str, tmp_path: Path, capsys: Any
) -> None:
    common = ["--calculator", "lj", "--structure", copper, "--trajectory_interval", "5"]
    common += ["--log_interval", "1"]
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    given = [*common, "--calculator_args", LJ]
    assert run("md", *given, "--output", str(whole), "--steps", "20") == 0
    assert run("md", *given, "--output", str(parts), "--steps", "10") == 0
    resume = ["--output", str(parts), "--steps", "20", "--resume"]
    other = LJ.replace("0.4", "0.400001")
    assert run("md", *common, "--calculator_args", other, *resume) == 2
    assert "cannot resume: calculator_args was" in capsys.readouterr().err
    assert run("md", *given, *resume) == 0
    ends = [read(folder / "final.traj") for folder in (whole, parts)]
    assert np.array_equal(ends[0].positions, ends[1].positions)
    assert np.array_equal(ends[0].get_momenta(), ends[1].get_momenta())
    assert result_of(parts)["provenance"]["potential"]["made_by"]["arguments"]["epsilon"] == 0.4


def test_guards_stop_a_run(copper: str, tmp_path: Path, capsys: Any) -> None:
    arguments = ["--calculator", "emt", "--structure", copper, "--output", str(tmp_path / "out")]
    assert run("md", *arguments, "--temperature_K", "90000", "--steps", "200") == 1
    assert (tmp_path / "out" / "offending.extxyz").exists()
    assert "temperature" in capsys.readouterr().err


def test_relaxations_and_equation_of_state_equal_those_of_the_calculator(
    copper: str, tmp_path: Path, capsys: Any
) -> None:
    common = ["--calculator", "emt", "--structure", copper]
    folder = {verb: tmp_path / verb for verb in ("relax", "relax-many", "eos", "elastic")}
    assert run("relax", *common, "--fmax", "1e-3", "--output", str(folder["relax"])) == 0
    assert run("relax-many", *common, "--fmax", "1e-3", "--output", str(folder["relax-many"])) == 0
    for name in ("relax/final.extxyz", "relax-many/relaxed.extxyz"):
        relaxed = read(tmp_path / name)
        relaxed.calc = EMT()
        assert np.abs(relaxed.get_forces()).max() < 1e-3
    write(tmp_path / "cubic.xyz", bulk("Cu", cubic=True))
    common[-1] = str(tmp_path / "cubic.xyz")
    for verb in ("eos", "elastic"):
        assert run(verb, *common, "--output", str(folder[verb])) == 0
        assert list(folder[verb].glob("*.png"))
    # The bulk modulus from volumes is that from strains.
    from_volumes = result_of(folder["eos"])["bulk_modulus_GPa"]
    from_strains = result_of(folder["elastic"])["bulk_hill_GPa"]
    assert from_strains == pytest.approx(from_volumes, rel=5e-3)
    capsys.readouterr()
    assert main(["relax", *common, "--output", str(folder["relax"]), "--resume", "--fmax=1"]) == 2


def test_phonons_band_and_selftest(tmp_path: Path, capsys: Any) -> None:
    write(tmp_path / "cu.xyz", bulk("Cu"))
    common = ["--calculator", "emt", "--structure", str(tmp_path / "cu.xyz")]
    small = ["--supercell", "[2, 2, 2]", "--mesh", "[4, 4, 4]", "--output", str(tmp_path / "ph")]
    assert run("phonons", *common, *small) == 0
    assert result_of(tmp_path / "ph")["provenance"]["potential"]["made_by"]["name"] == "emt"
    crystal = bulk("Cu", cubic=True) * (2, 2, 2)
    crystal.rattle(0.05, seed=1)
    write(tmp_path / "cu.xyz", crystal)
    assert main(["selftest", *common]) == 0
    assert main(["selftest", *common, "--dtype=float32", "--checks=[translation]"]) == 0
    assert "limits of float32" in capsys.readouterr().out
    # A vacancy of copper hops to a neighbouring site.
    start, end = bulk("Cu", cubic=True) * (2, 2, 2), bulk("Cu", cubic=True) * (2, 2, 2)
    neighbour = int(np.argsort(start.get_distances(0, range(32), mic=True))[1])
    end.positions[neighbour] = start.positions[0]
    for atoms, name in ((start, "start.xyz"), (end, "end.xyz")):
        del atoms[0]
        write(tmp_path / name, atoms)
    ends = ["--structure", str(tmp_path / "start.xyz"), "--final", str(tmp_path / "end.xyz")]
    few = ["--images", "5", "--output", str(tmp_path / "neb")]
    assert run("neb", "--calculator", "emt", *ends, *few) == 0
    assert 0.3 < result_of(tmp_path / "neb")["barrier_forward_eV"] < 1.5
