from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import yaml
from ase import Atoms
from ase.build import molecule
from ase.io import write

from ase_geomformer.calculator import PotentialCalculator
from ase_geomformer.checkpoint.folder import Card, save_potential
from ase_geomformer.cli import main
from ase_geomformer.potential import Potential

KCAL_PER_MOL = 0.0433641  # eV
OUTPUTS = [
    "errors_by_element.png", "parity.png", "predictions.npz", "result.json", "settings.yaml",
]  # fmt: skip


@pytest.fixture
def name(potential: Potential, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a potential with random weights."""
    save_potential(potential, tmp_path / "potentials/toy", Card(name="toy"))
    monkeypatch.setenv("ASE_GEOMFORMER_POTENTIALS", str(tmp_path / "potentials"))
    monkeypatch.chdir(tmp_path)
    return "toy"


@pytest.fixture
def labelled(potential: Potential) -> list[Atoms]:
    """Ethanol and water, energies 18 meV and 3 meV below the potential's, forces exact."""
    calculator = PotentialCalculator(potential, device="cpu")
    structures = []
    for atoms, shift in ((molecule("CH3CH2OH"), 0.018), (molecule("H2O"), 0.003)):
        energy, forces = calculator.get_potential_energy(atoms), calculator.get_forces(atoms)
        atoms.info["REF_energy"] = energy - shift
        atoms.arrays["REF_forces"] = forces
        structures.append(atoms)
    return structures


def evaluate(name: str, *arguments: str) -> int:
    return main(["evaluate", "--potential", name, "--device", "cpu", *arguments])


def test_writes_and_prints_the_errors(
    name: str, labelled: list[Atoms], capsys: pytest.CaptureFixture[str]
) -> None:
    write("frames.xyz", labelled, format="extxyz")
    assert evaluate(name, "--structure", "frames.xyz", "--output", "out") == 0
    assert sorted(path.name for path in Path("out").iterdir()) == OUTPUTS
    result = json.loads(Path("out/result.json").read_text())
    assert result["frames"] == 2
    assert result["energy_mae_meV"] == pytest.approx(10.5, abs=1e-3)
    assert result["energy_mae_meV_per_atom"] == pytest.approx(1.5, abs=1e-3)
    assert result["forces_max_error_meV_per_A"] < 1e-3
    assert result["worst_frames"]["energy_error_meV_per_atom"][0]["source"] == "frames.xyz"
    assert result["provenance"]["potential"]["name"] == "toy"
    with np.load("out/predictions.npz") as saved:
        assert saved["energy_reference_eV"].shape == (2,)
    printed = capsys.readouterr().out
    assert "10.5" in printed
    assert "meV/atom" in printed


def test_settings_repeat_the_evaluation(name: str, labelled: list[Atoms]) -> None:
    write("frames.xyz", labelled, format="extxyz")
    evaluate(name, "--structure", "frames.xyz", "--output", "out", "--progress", "false")
    settings = yaml.safe_load(Path("out/settings.yaml").read_text())
    assert settings["structure"] == "frames.xyz"
    assert main(["evaluate", "--config", "out/settings.yaml", "--output", "again"]) == 0
    first, second = (
        json.loads(Path(folder, "result.json").read_text()) for folder in ("out", "again")
    )
    del first["provenance"], second["provenance"]
    assert first == second


def test_data_may_be_explained(name: str, labelled: list[Atoms]) -> None:
    alcohol = labelled[0]
    np.savez(
        "md17.npz",
        z=alcohol.numbers,
        R_test=alcohol.positions[None],
        E_test=np.array([alcohol.info["REF_energy"]]) / KCAL_PER_MOL,
        F_test=alcohol.arrays["REF_forces"][None] / KCAL_PER_MOL,
    )
    keys = {"positions_key": "R_test", "energy_key": "E_test", "forces_key": "F_test"}
    options = [f"--{key}={value}" for key, value in keys.items()]
    data = ["--structure", "md17.npz", "--energy_unit", "kcal/mol", *options]
    assert evaluate(name, *data, "--output", "out") == 0
    result = json.loads(Path("out/result.json").read_text())
    assert result["energy_mae_meV"] == pytest.approx(18.0, rel=0.01)
    assert result["forces_max_error_meV_per_A"] < 0.1


def test_several_files_are_one_evaluation(name: str, labelled: list[Atoms]) -> None:
    for file, atoms in zip(("one.xyz", "two.xyz"), labelled, strict=True):
        write(file, atoms, format="extxyz")
    assert evaluate(name, "--structure", "[one.xyz, two.xyz]", "--output", "out") == 0
    worst = json.loads(Path("out/result.json").read_text())["worst_frames"]
    files = [frame["source"] for frame in worst["energy_error_meV_per_atom"]]
    assert files == ["one.xyz", "two.xyz"]


def test_without_progress_the_result_is_one_line(
    name: str, labelled: list[Atoms], capsys: pytest.CaptureFixture[str]
) -> None:
    write("frames.xyz", labelled, format="extxyz")
    evaluate(name, "--structure", "frames.xyz", "--output", "out", "--progress", "false")
    shown = capsys.readouterr().out
    assert shown.count("\n") == 1
    assert shown.endswith("; files in out\n")


def test_faults_of_the_data_are_told_before_anything_is_written(
    name: str, labelled: list[Atoms], capsys: pytest.CaptureFixture[str]
) -> None:
    copper = Atoms("Cu", info={"REF_energy": 0.0}, cell=np.eye(3) * 3.6, pbc=True)
    copper.arrays["REF_forces"] = np.zeros((1, 3))
    write("frames.xyz", [*labelled, copper], format="extxyz")
    assert evaluate(name, "--structure", "frames.xyz", "--output", "out") == 2
    message = capsys.readouterr().err
    assert "frames.xyz, frame 2" in message
    assert "Cu" in message
    assert evaluate(name, "--structure", "nowhere.xyz", "--output", "out") == 2
    assert "nowhere.xyz" in capsys.readouterr().err
    options = ["--structure", "frames.xyz", "--energy_unit", "furlong", "--output", "out"]
    assert evaluate(name, *options) == 2
    assert capsys.readouterr().err == (
        "ase-geomformer: error: energy_unit is 'furlong'; known are eV, meV, kcal/mol, kJ/mol, "
        "hartree\n"
    )
    assert not Path("out").exists()


def test_several_potentials_are_a_committee(
    name: str, potential: Potential, labelled: list[Atoms], capsys: pytest.CaptureFixture[str]
) -> None:
    """Two that err by the same in opposite directions: no error of the mean, all of it spread."""
    write("frames.xyz", labelled, format="extxyz")
    for index, sign in enumerate((1.0, -1.0)):
        other = potential.copy()
        energies = {s: potential.reference_energies.get(s, 0.0) for s in potential.symbols}
        other.set_reference_energies({s: e + 0.01 * sign for s, e in energies.items()})
        save_potential(other, Path(f"committee/member_{index}"), Card(name=f"member {index}"))
    assert evaluate("committee", "--structure", "frames.xyz", "--output", "out") == 0
    result = json.loads(Path("out/result.json").read_text())
    # The labels lie 2 and 1 meV per atom below the potential.
    assert result["energy_mae_meV_per_atom"] == pytest.approx(1.5, abs=1e-3)
    found = [member["energy_mae_meV_per_atom"] for member in result["members"]]
    assert found == pytest.approx([11.5, 8.5], abs=1e-3)
    assert [member["name"] for member in result["members"]] == ["member 0", "member 1"]
    assert set(result["forces_spread"]) == {"calibration", "exceedance", "correlation"}
    assert "error / spread of forces" in capsys.readouterr().out
