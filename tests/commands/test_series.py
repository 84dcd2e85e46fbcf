"""Several structures in one command, databases in and out."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from ase.calculators.emt import EMT
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
