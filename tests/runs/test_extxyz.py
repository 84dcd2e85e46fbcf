"""A structure written at the end of a run is read back with all its constraints."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.constraints import (
    FixAtoms,
    FixBondLengths,
    FixCartesian,
    FixCom,
    FixedLine,
    FixedPlane,
    FixInternals,
    FixScaled,
    FixSymmetry,
    Hookean,
)

from ase_geomformer.md import MDSettings, run_md
from ase_geomformer.recipes import RelaxManySettings, RelaxSettings, relax, relax_many
from ase_geomformer.runs.reader import read_atoms
from ase_geomformer.runs.structures import read_structures

LOST = {
    "FixScaled": lambda _: FixScaled([0], (True, False, False)),
    "FixedPlane": lambda _: FixedPlane([0], (1, 1, 0)),
    "FixedLine": lambda _: FixedLine([0], (1, 1, 0)),
    "Hookean": lambda _: Hookean(0, (0.0, 0.0, 0.5), 1.0, 0.1),
    "FixBondLengths": lambda _: FixBondLengths([(0, 1)]),
    "FixCom": lambda _: FixCom(),
    "FixInternals": lambda _: FixInternals(bonds=[[None, [0, 1]]], mic=True),
    "FixSymmetry": FixSymmetry,
}


def crystal(make: Any) -> Atoms:
    atoms = bulk("Cu", cubic=True)
    atoms.set_cell(atoms.cell * [1.0, 1.02, 1.04], scale_atoms=True)
    atoms.positions[1] += [0.0, 0.0, 0.05]
    atoms.set_constraint(make(atoms))
    return atoms


def described(atoms: Atoms) -> list[Any]:
    return [type(constraint) for constraint in atoms.constraints]


@pytest.mark.parametrize("name", LOST)
def test_the_next_verb_reads_all_constraints_back(name: str, tmp_path: Path) -> None:
    atoms = crystal(LOST[name])
    run_md(atoms, EMT(), MDSettings(steps=3), output=tmp_path / "md", progress=False)
    relax(atoms, EMT(), RelaxSettings(steps=2), output=tmp_path / "relax", progress=False)
    for run in ("md", "relax"):
        with pytest.warns(UserWarning, match=f"without the constraints {name} .* read final.traj"):
            (marked,) = read_atoms(tmp_path / run / "final.extxyz", ":")
        (whole,), _ = read_structures(tmp_path / run / "final.traj")
        assert described(whole) == described(atoms)
        assert not marked.info
        np.testing.assert_allclose(whole.positions, marked.positions, rtol=0, atol=1e-8)
    again = run_md(whole, EMT(), MDSettings(steps=3, ensemble="nve"), progress=False)
    assert described(again.atoms) == described(atoms)


def test_what_extended_xyz_keeps_is_read_without_a_warning(tmp_path: Path) -> None:
    atoms = crystal(lambda _: [FixAtoms([0]), FixCartesian([1, 2], (True, False, True))])
    run_md(atoms, EMT(), MDSettings(steps=2), output=tmp_path, progress=False)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        (read,) = read_atoms(tmp_path / "final.extxyz", ":")
    kept, given = read.copy(), atoms.copy()
    for each in (kept, given):
        each.set_positions(atoms.positions)
        each.set_momenta(np.ones((4, 3)))
    np.testing.assert_array_equal(kept.get_momenta() != 0, given.get_momenta() != 0)


def test_many_structures_and_a_later_run(tmp_path: Path) -> None:
    structures = [crystal(LOST["FixedLine"]), crystal(lambda _: [])]
    settings = RelaxManySettings(steps=2)
    relax_many(structures, EMT(), settings, output=tmp_path, progress=False)
    found, _ = read_structures(tmp_path / "relaxed.traj")
    assert [described(atoms) for atoms in found] == [[FixedLine], []]
    relax_many(structures[1:], EMT(), settings, output=tmp_path, progress=False, overwrite=True)
    assert not (tmp_path / "relaxed.traj").exists()


def test_a_trajectory_in_extended_xyz_says_what_it_lacks(tmp_path: Path) -> None:
    atoms = crystal(LOST["FixScaled"])
    settings = MDSettings(steps=2, trajectory_format="extxyz")
    run_md(atoms, EMT(), settings, output=tmp_path, progress=False)
    with pytest.warns(UserWarning, match="trajectory.extxyz was .* set them again to go on"):
        read_atoms(tmp_path / "trajectory.extxyz", ":")
