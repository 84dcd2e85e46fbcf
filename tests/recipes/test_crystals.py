from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ase import Atoms
from ase.build import bulk, molecule
from ase.calculators.emt import EMT
from ase.io import read, write

from ase_geomformer.checkpoint.folder import Card, save_potential
from ase_geomformer.cli import main
from ase_geomformer.potential import Potential
from ase_geomformer.recipes import (
    ElasticSettings,
    EOSSettings,
    elastic,
    eos,
    relax,
)
from tests.recipes.pair import Morse


def run_elastic(atoms: Atoms, calculator: Any, **settings: Any) -> Any:
    return elastic(atoms, calculator, ElasticSettings(**settings), progress=False)


def test_eos_and_elasticity_of_a_pair_crystal_agree_with_its_lattice_sums(tmp_path: Path) -> None:
    pair = Morse()
    lattice, bulk_modulus = pair.fcc()
    atoms = bulk("Ar", "fcc", a=1.02 * lattice)
    found = eos(atoms, pair, EOSSettings(volume_range=0.03), output=tmp_path, progress=False)
    assert found.converged
    assert found.fit.volume_A3 == pytest.approx(lattice**3 / 4, rel=1e-4)
    assert found.fit.bulk_modulus_GPa == pytest.approx(bulk_modulus, rel=2e-3)
    assert found.atoms.get_volume() == pytest.approx(found.fit.volume_A3)
    names = {"settings.yaml", "result.json", "eos.png", "scan.traj", "final.extxyz"}
    names.add("final.traj")
    assert {file.name for file in tmp_path.iterdir()} == names
    assert len(read(tmp_path / "scan.traj", index=":")) == 9
    constants = run_elastic(atoms, pair, max_strain=0.002)
    assert constants.converged
    assert constants.moduli.bulk_hill_GPa == pytest.approx(bulk_modulus, rel=1e-3)
    # Central forces in a crystal of inversion centres: Cauchy's relation.
    assert constants.constants_GPa[0, 1] == pytest.approx(constants.constants_GPa[3, 3], rel=1e-3)


def test_a_start_that_is_not_relaxed_is_refused(tmp_path: Path) -> None:
    settings = ElasticSettings(relax=False)
    with pytest.raises(ValueError, match="not relaxed: its largest force .* stress"):
        elastic(bulk("Cu", a=3.7), EMT(), settings, output=tmp_path / "run", progress=False)
    assert not (tmp_path / "run").exists()
    for recipe in (eos, elastic):
        with pytest.raises(ValueError, match="needs a crystal"):
            recipe(molecule("H2O"), EMT(), progress=False)


def test_commands(potential: Potential, silicon: Atoms, tmp_path: Path) -> None:
    save_potential(potential, tmp_path / "p", Card("random"), [silicon])
    write(tmp_path / "si.extxyz", bulk("Si"))
    words = ["--potential", str(tmp_path / "p"), "--structure", str(tmp_path / "si.extxyz")]
    words += ["--relax", "false", "--relax_ions", "false", "--progress", "false"]
    code = main(["eos", *words, "--points", "5", "--output", str(tmp_path / "eos")])
    assert code == 1  # random weights have no minimum to find
    content = json.loads((tmp_path / "eos" / "result.json").read_text())
    assert content["provenance"]["dtype"] == "float64"
    assert len(content["volumes_A3"]) == 5
    loose = ["--smax_GPa", "1e6", "--fmax", "1e9", "--points", "3"]
    assert main(["elastic", *words, *loose, "--output", str(tmp_path / "elastic")]) == 0
    content = json.loads((tmp_path / "elastic" / "result.json").read_text())
    assert content["crystal_class"] == "cubic"
    assert {file.name for file in (tmp_path / "elastic").iterdir()} == {
        "settings.yaml", "result.json", "elastic.png", "strains.npz", "final.extxyz", "final.traj",
    }  # fmt: skip


def test_recipes_take_the_path_of_a_structure(tmp_path: Path) -> None:
    copper = bulk("Cu", cubic=True)
    write(tmp_path / "copper.cif", copper)
    settings = EOSSettings(points=5, relax_ions=False, relax=False)
    given = read(tmp_path / "copper.cif")
    found = [eos(one, EMT(), settings, progress=False) for one in (given, tmp_path / "copper.cif")]
    assert (found[0].energies == found[1].energies).all()
    with pytest.raises(FileNotFoundError, match=r"no structure file or folder 'nowhere\.cif'"):
        relax("nowhere.cif", EMT())
    with pytest.raises(TypeError, match="give a structure or the path of its file, not list"):
        relax([copper], EMT())  # type: ignore[arg-type]
