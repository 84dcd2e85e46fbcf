"""Bonds and angles of structures whose geometry is known."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule

from ase_geomformer.md.analysis import bonds_and_angles, load_frames
from ase_geomformer.md.analysis.rdf import radial_distribution


def test_water_by_hand(rng: np.random.Generator) -> None:
    water = molecule("H2O")
    frames = []
    for _ in range(40):
        atoms = water.copy()
        atoms.positions += 0.02 * rng.normal(size=(3, 3))
        frames.append(atoms)
    found = bonds_and_angles(load_frames(frames, interval_fs=1.0))
    assert found.lengths.keys() == {"H-O"}
    assert found.angles.keys() == {"H-O-H"}
    lengths = [atoms.get_distance(0, other) for atoms in frames for other in (1, 2)]
    angles = [atoms.get_angle(1, 0, 2) for atoms in frames]
    bond, angle = found.lengths["H-O"], found.angles["H-O-H"]
    assert (bond.mean, bond.std) == (
        pytest.approx(np.mean(lengths)),
        pytest.approx(np.std(lengths)),
    )
    assert (angle.mean, angle.std) == (
        pytest.approx(np.mean(angles)),
        pytest.approx(np.std(angles)),
    )
    assert (bond.number_per_frame, angle.number_per_frame) == (2.0, 1.0)
    for one in (bond, angle):
        width = one.value[1] - one.value[0]
        assert one.density.sum() * width == pytest.approx(1.0)
    thinned = bonds_and_angles(load_frames(frames, interval_fs=1.0), every=40)
    assert thinned.angles["H-O-H"].mean == pytest.approx(angles[0])


@pytest.mark.parametrize("repeat", [1, 2])
def test_tetrahedra_of_silicon_across_boundaries(repeat: int) -> None:
    found = bonds_and_angles(load_frames([bulk("Si", a=5.43) * repeat], interval_fs=1.0))
    atoms = 2 * repeat**3
    assert found.lengths["Si-Si"].number_per_frame == 2 * atoms
    assert found.lengths["Si-Si"].mean == pytest.approx(5.43 * np.sqrt(3) / 4)
    assert found.angles["Si-Si-Si"].number_per_frame == 6 * atoms
    assert found.angles["Si-Si-Si"].mean == pytest.approx(np.degrees(np.arccos(-1 / 3)))
    assert found.angles["Si-Si-Si"].std == pytest.approx(0.0, abs=1e-5)


def test_the_first_shell_of_a_crystal() -> None:
    salt = bulk("NaCl", "rocksalt", a=5.64, cubic=True)
    frames = load_frames([salt], interval_fs=1.0)
    top, low, count = radial_distribution(frames, "Na", "Cl", bins=60).shell
    assert top == pytest.approx(2.82, abs=0.06)
    assert top < low < 4.8
    assert count == pytest.approx(6.0)


def test_lone_atoms_have_neither() -> None:
    apart = Atoms("Ar2", [[0, 0, 0], [0, 0, 5.0]])
    found = bonds_and_angles(load_frames([apart], interval_fs=1.0))
    assert not found.lengths
    assert not found.angles
