"""Several structures in one command, databases in and out."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, fcc111, molecule
from ase.calculators.emt import EMT
from ase.calculators.singlepoint import SinglePointCalculator
from ase.db import connect
from ase.io import read, write

from ase_geomformer.cli import main
from ase_geomformer.recipes import EOSSettings, RelaxSettings, eos, relax
from ase_geomformer.runs.database import check_database
from ase_geomformer.runs.structures import read_structures

METALS = ("Cu", "Ag", "Au")


@pytest.fixture
def database(tmp_path: Path) -> Path:
    file = tmp_path / "given.db"
    with connect(file) as rows:
        for symbol in METALS:
            rows.write(bulk(symbol), name=f"{symbol} (fcc)", kind="metal")
        rows.write(molecule("H2O"), name="water")
    return file


def test_rows_are_chosen_by_a_query_and_keep_their_names(database: Path, tmp_path: Path) -> None:
    assert read_structures(database, "kind=metal")[1] == [f"{one} (fcc)" for one in METALS]
    assert read_structures(database, "natoms>2")[1] == ["water"]
    assert read_structures(database, "1::2")[1] == ["Ag (fcc)", "water"]
    assert read_structures(database, "-1")[0][0].info["name"] == "water"
    with pytest.raises(ValueError, match="no structures with index 'natoms>9'"):
        read_structures(database, "natoms>9")
    named = bulk("Cu")
    named.info["name"] = "mine"
    write(tmp_path / "two.extxyz", [named, bulk("Ag")])
    assert read_structures(tmp_path / "two.extxyz")[1] == ["mine", "two.extxyz:1"]
    assert read_structures([named, bulk("Ag")])[1] == ["mine", "structure 1 (Ag)"]


def test_a_recipe_of_one_structure_runs_for_each(database: Path, tmp_path: Path) -> None:
    out, run = tmp_path / "results.db", tmp_path / "run"
    words = ["eos", "--calculator", "emt", "--structure", str(database), "--index", "kind=metal"]
    words += ["--output", str(run), "--db", str(out), "--points", "5", "--progress", "false"]
    assert main(words) == 0
    content = json.loads((run / "result.json").read_text())
    assert content["number_converged"] == 3
    assert [one["name"] for one in content["structures"]] == [f"{one} (fcc)" for one in METALS]
    for place, symbol in enumerate(METALS):
        alone = eos(bulk(symbol), EMT(), EOSSettings(points=5), progress=False)
        one = content["structures"][place]
        assert one["folder"] == f"{place:04d}_{symbol}-fcc"
        assert one["bulk_modulus_GPa"] == pytest.approx(alone.fit.bulk_modulus_GPa, rel=1e-6)
        assert (run / one["folder"] / "eos.png").exists()
    rows = list(connect(out).select(recipe="eos"))
    assert [row.name for row in rows] == [f"{one} (fcc)" for one in METALS]
    assert rows[0].bulk_modulus_GPa == content["structures"][0]["bulk_modulus_GPa"]
    assert rows[0].data["provenance"]["potential"]["calculator"] == "EMT"
    # The same run again takes the place of its rows; another adds some.
    assert main([*words, "--overwrite", "true"]) == 0
    assert connect(out).count() == 3
    # What a folder of one structure says runs that structure alone.
    inner = run / content["structures"][1]["folder"]
    again = ["eos", "--config", str(inner / "settings.yaml"), "--output", str(tmp_path / "again")]
    assert main([*again, "--calculator", "emt", "--progress", "false"]) == 0
    assert "Ag" in json.loads((tmp_path / "again" / "result.json").read_text())["formula"]


def test_a_series_names_what_fails_and_resumes(
    database: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    words = ["surface", "--calculator", "emt", "--structure", str(database), "--index", "1::2"]
    words += ["--output", str(run), "--progress", "false", "--thicknesses", "2"]
    assert main(words) == 1
    assert "1 of 2 structures converged" in capsys.readouterr().err
    silver, water = json.loads((run / "result.json").read_text())["structures"]
    assert silver["converged"]
    assert water["reason"].startswith("failed: a surface needs a crystal")
    before = (run / silver["folder"] / "result.json").stat().st_mtime_ns
    assert main([*words, "--resume"]) == 1
    again = json.loads((run / "result.json").read_text())["structures"][0]
    assert again["energy_J_per_m2"] == silver["energy_J_per_m2"]
    assert (run / silver["folder"] / "result.json").stat().st_mtime_ns == before
    other = [word if word != "1::2" else "0:2" for word in words]
    assert main([*other, "--resume"]) == 2
    assert "started with other structures" in capsys.readouterr().err


def test_rows_have_structures_with_their_results(database: Path, tmp_path: Path) -> None:
    out = tmp_path / "results.json"
    words = ["--calculator", "emt", "--structure", str(database), "--db", str(out)]
    assert main(["singlepoint", *words, "--json", "true"]) == 0
    quiet = ["--progress", "false", "--fmax", "1e-3"]
    assert main(["relax", *words, *quiet, "--output", str(tmp_path / "relax")]) == 0
    found = read_structures(out, "recipe=relax")
    assert found[1] == ["water"]
    (row,) = connect(out).select(recipe="relax")
    expected = relax(molecule("H2O"), EMT(), RelaxSettings(fmax=1e-3), progress=False)
    assert row.energy == pytest.approx(expected.energy, abs=1e-6)
    assert row.converged
    np.testing.assert_allclose(found[0][0].get_positions(), row.positions)
    singles = list(connect(out).select(recipe="singlepoint"))
    assert len(singles) == 4
    water = molecule("H2O")
    water.calc = EMT()
    assert singles[-1].energy == pytest.approx(water.get_potential_energy())


def test_rows_of_dynamics_have_averages(tmp_path: Path) -> None:
    out, file = tmp_path / "results.db", tmp_path / "copper.xyz"
    write(file, bulk("Cu", cubic=True))
    words = ["--calculator", "emt", "--structure", str(file), "--db", str(out)]
    words += ["--progress", "false", "--temperature_K", "300", "--steps", "20"]
    words += ["--log_interval", "2"]
    assert main(["md", *words, "--output", str(tmp_path / "md")]) == 0
    (row,) = connect(out).select(recipe="md")
    content = json.loads((tmp_path / "md" / "result.json").read_text())
    assert row.name == "copper.xyz"
    assert row.completed
    assert row.mean_temperature_K == content["averages"]["temperature_K"]["mean"]
    last = read(tmp_path / "md" / "final.extxyz")
    np.testing.assert_allclose(row.positions, last.positions, atol=1e-7)
    last.calc = EMT()
    assert row.energy == pytest.approx(last.get_potential_energy(), abs=1e-5)
    words += ["--temperatures_K", "300", "360", "--output", str(tmp_path / "set")]
    assert main(["replicas", *words]) == 0
    rows = list(connect(out).select(recipe="replicas"))
    assert [one.name for one in rows] == ["replica_0", "replica_1"]
    assert all(one.completed for one in rows)


def test_rows_of_an_evaluation_have_predictions_and_errors(tmp_path: Path) -> None:
    file, out = tmp_path / "labelled.extxyz", tmp_path / "results.db"
    frames, rng = [], np.random.default_rng(3)
    for place in range(3):
        atoms = bulk("Cu", cubic=True)
        atoms.positions += 0.05 * rng.normal(size=(4, 3))
        copy = atoms.copy()
        copy.calc = EMT()
        energy, forces = copy.get_potential_energy(), copy.get_forces()
        forces[1, 2] += 0.003 * place  # eV/Å
        atoms.calc = SinglePointCalculator(atoms, energy=energy + 0.004 * place, forces=forces)
        frames.append(atoms)
    frames[0].info["name"] = "first"
    write(file, frames)
    words = ["evaluate", "--calculator", "emt", "--structure", str(file), "--db", str(out)]
    assert main([*words, "--output", str(tmp_path / "run"), "--progress", "false"]) == 0
    rows = list(connect(out).select(recipe="evaluate"))
    assert [row.name for row in rows] == ["first", "labelled.extxyz:1", "labelled.extxyz:2"]
    for place, (row, atoms) in enumerate(zip(rows, frames, strict=True)):
        assert row.energy_error_meV_per_atom == pytest.approx(-place, abs=1e-4)
        assert row.forces_max_error_meV_per_A == pytest.approx(3 * place, abs=1e-3)
        assert row.forces_rmse_meV_per_A == pytest.approx(3 * place / np.sqrt(12), abs=1e-3)
        check = atoms.copy()
        check.calc = EMT()
        assert row.energy == pytest.approx(check.get_potential_energy(), abs=1e-6)
        np.testing.assert_allclose(row.forces, check.get_forces(), atol=1e-6)
    run = tmp_path / "again"
    assert main([*words[:-1], str(tmp_path / "x.xyz"), "--output", str(run)]) == 2
    assert not run.exists()


def test_adsorption_on_several_slabs(tmp_path: Path) -> None:
    slabs = [fcc111(symbol, (1, 1, 2), vacuum=6.0) for symbol in ("Cu", "Ag")]
    write(tmp_path / "slabs.traj", slabs)
    words = ["adsorption", "--calculator", "emt", "--structure", str(tmp_path / "slabs.traj")]
    words += ["--index", ":", "--adsorbate", "O", "--min_length_A", "2", "--fmax", "0.1"]
    words += ["--progress", "false", "--output", str(tmp_path / "ads")]
    assert main(words) == 0
    content = json.loads((tmp_path / "ads" / "result.json").read_text())
    assert content["number_converged"] == 2
    assert content["structures"][1]["folder"] == "0001_slabs.traj-1"


def test_what_cannot_be_a_database_is_refused_first(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"must end in \.db or \.json"):
        check_database(tmp_path / "results.xyz")
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        check_database(tmp_path / "none" / "results.db")
    (tmp_path / "text.db").write_text("no database at all, and long enough to be none " * 40)
    with pytest.raises(ValueError, match="is no database of ASE"):
        check_database(tmp_path / "text.db")
    write(tmp_path / "one.xyz", Atoms("Cu"))
    words = ["relax", "--calculator", "emt", "--structure", str(tmp_path / "one.xyz")]
    run = tmp_path / "run"
    assert main([*words, "--output", str(run), "--db", str(tmp_path / "text.db")]) == 2
    assert not run.exists()
    assert read(tmp_path / "one.xyz").symbols == "Cu"
