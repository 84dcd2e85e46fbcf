from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms, units
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.io import read
from ase.neighborlist import neighbor_list

from ase_geomformer.cli import main
from ase_geomformer.recipes import SurfaceSettings, surface
from ase_geomformer.recipes.surfaces.slabs import cuts, primitive, slab
from tests.recipes.pair import Morse

J_PER_M2 = units.m**2 / units.J
# Bonds that each atom of a face of an fcc crystal loses, and its area by the lattice constant
# squared; those of (110) are five to each atom of the first plane and one of the second.
FACES = {(1, 1, 1): (3, np.sqrt(3) / 4), (1, 0, 0): (4, 0.5), (1, 1, 0): (6, np.sqrt(0.5))}


def found_cuts(atoms: Atoms, miller: list[int]) -> list[tuple[str, bool, bool]]:
    crystal, indices = primitive(atoms, miller, 0.01)
    return [(cut.name, cut.equal_faces, cut.polar) for cut in cuts(crystal, indices, 0.1)]


@pytest.mark.parametrize("miller", FACES)
@pytest.mark.parametrize("cubic", [True, False])
def test_broken_bonds_of_a_pair_crystal(miller: tuple[int, ...], cubic: bool) -> None:
    """Atoms that reach no further than the first neighbours do not relax."""
    pair = Morse(cutoff=4.4)
    lattice, _ = pair.fcc()
    bond = pair.bond_energy(lattice / np.sqrt(2))
    lost, share = FACES[miller]
    settings = SurfaceSettings(miller=list(miller), relax_bulk=False, relax_slabs=False)
    crystal = bulk("Ar", "fcc", a=lattice, cubic=cubic)
    result = surface(crystal, pair, settings, progress=False)
    assert result.converged
    (one,) = result.terminations
    assert result.area_A2 == pytest.approx(share * lattice**2)
    expected = 0.5 * lost * bond / result.area_A2 * J_PER_M2
    assert result.energy_J_per_m2 == pytest.approx(expected, rel=1e-6)
    assert one.error_J_per_m2 < 1e-9
    np.testing.assert_allclose(one.by_thickness_J_per_m2, expected, rtol=1e-6)
    assert one.bulk_energy_eV == pytest.approx(-6 * bond, rel=1e-6)
    assert (np.diff(one.thickness_A) > 0).all()


def test_silicon_can_be_parted_in_two_ways() -> None:
    """Where the planes are far apart one bond of each atom breaks, between the others three."""
    silicon = bulk("Si", a=5.468)
    assert found_cuts(silicon, [1, 1, 1]) == [("Si|Si", True, False)] * 2
    assert len(found_cuts(silicon, [1, 0, 0])) == len(found_cuts(silicon, [1, 1, 0])) == 1
    crystal, indices = primitive(silicon * (2, 1, 1), [1, 1, 1], 0.01)
    for cut, kept in zip(cuts(crystal, indices, 0.1), (3, 1), strict=True):
        atoms = slab(crystal, indices, cut, 3, 10.0)
        bonds = np.bincount(neighbor_list("i", atoms, 2.6), minlength=len(atoms))
        assert sorted(bonds) == [kept] * 2 + [4] * (len(atoms) - 2)


def test_polar_faces_are_named() -> None:
    salt = bulk("NaCl", "rocksalt", a=5.6)
    assert found_cuts(salt, [1, 0, 0]) == [("ClNa|ClNa", True, False)]
    ((name, equal, polar),) = found_cuts(salt, [1, 1, 1])
    assert sorted(name.split("|")) == ["Cl", "Na"]
    assert (equal, polar) == (False, True)


def test_relaxation_lowers_the_energy_and_the_verb_leaves_its_files(tmp_path: Path) -> None:
    run = tmp_path / "run"
    words = ["--calculator", "emt", "--structure", "examples/structures/copper.cif"]
    words += ["--output", str(run), "--progress", "false", "--thicknesses", "3"]
    assert main(["surface", *words]) == 0
    content = json.loads((run / "result.json").read_text())
    (one,) = content["terminations"]
    assert content["miller"] == [1, 1, 1]
    # EMT's slabs of different thickness agree on the energy in the crystal.
    assert one["bulk_energy_of_fit_eV_per_atom"] == pytest.approx(
        content["bulk_energy_eV_per_atom"], abs=1e-3
    )
    assert len(read(run / "slabs.traj", ":")) == 3
    assert {"surface.png", "final.traj", "settings.yaml"} <= {path.name for path in run.iterdir()}
    stiff = surface(
        read("examples/structures/copper.cif"),
        EMT(),
        SurfaceSettings(relax_slabs=False, thicknesses=3),
        progress=False,
    )
    assert content["energy_J_per_m2"] < stiff.energy_J_per_m2


def test_a_run_that_was_killed_resumes_with_the_other_slabs(tmp_path: Path) -> None:
    settings = SurfaceSettings(miller=[1, 0, 0], thicknesses=3, min_thickness_A=5.0)
    copper, run = read("examples/structures/copper.cif"), tmp_path / "run"
    whole = surface(copper, EMT(), settings, output=run, progress=False)
    lines = (run / "finished.jsonl").read_text().splitlines(keepends=True)
    assert len(lines) == 3
    (run / "finished.jsonl").write_text("".join(lines[:1]))
    (run / "result.json").unlink()
    again = surface("examples/structures/copper.cif", EMT(), settings, output=run, resume=True,
                    progress=False)  # fmt: skip
    assert again.energy_J_per_m2 == whole.energy_J_per_m2
    assert (run / "finished.jsonl").read_text().startswith(lines[0])
    other = SurfaceSettings(miller=[1, 1, 0], thicknesses=3, min_thickness_A=5.0)
    with pytest.raises(ValueError, match="cannot resume: miller was"):
        surface(copper, EMT(), other, output=run, resume=True, progress=False)


def test_what_makes_no_sense_is_refused() -> None:
    with pytest.raises(ValueError, match="miller"):
        SurfaceSettings(miller=[0, 0, 0])
    with pytest.raises(ValueError, match="miller"):
        SurfaceSettings(miller=[1, 1])
    with pytest.raises(ValueError, match="needs a crystal"):
        surface(Atoms("H"), Morse(), progress=False)
