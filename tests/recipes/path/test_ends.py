from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from ase.constraints import FixAtoms

from ase_geomformer.recipes import NEBSettings
from ase_geomformer.recipes.interpolation import interpolated
from ase_geomformer.recipes.path.ends import check_different, checked_path

pytestmark = pytest.mark.quick

SETTINGS = NEBSettings(images=5)


def water() -> Atoms:
    return molecule("H2O")


def turned_methyl() -> list[Atoms]:
    """Ethane, and the same with one end turned by 120 degrees."""
    atoms = molecule("C2H6")
    other = atoms.copy()
    hydrogens = [i for i in range(2, 8) if atoms.get_distance(0, i) < 1.3]
    axis = atoms.positions[1] - atoms.positions[0]
    turning = other[hydrogens]
    turning.rotate(120.0, axis, center=atoms.positions[0])
    other.positions[hydrogens] = turning.positions
    return [atoms, other]


def test_other_atoms_orders_cells_and_boundaries_are_refused() -> None:
    with pytest.raises(ValueError, match="1 structure is given"):
        checked_path([water()], SETTINGS)
    with pytest.raises(ValueError, match="structure 1 is CO2, and the first is H2O"):
        checked_path([water(), molecule("CO2")], SETTINGS)
    with pytest.raises(ValueError, match="atom 0 is H there and O in the first"):
        checked_path([water(), water()[[1, 0, 2]]], SETTINGS)
    boxed = water()
    boxed.set_cell([9, 9, 9])
    boxed.pbc = True
    with pytest.raises(ValueError, match="boundaries"):
        checked_path([water(), boxed], SETTINGS)
    larger = boxed.copy()
    larger.set_cell([9, 9, 9.1])
    with pytest.raises(ValueError, match="another cell"):
        checked_path([boxed, larger], SETTINGS)


def test_fixed_atoms_must_stay() -> None:
    first, other = water(), water()
    first.set_constraint(FixAtoms([2]))
    other.positions[2, 0] += 0.1
    message = r"atom 2 \(H\) may not move along .* structure 0, and structure 1 has it 0.1 Å away"
    with pytest.raises(ValueError, match=message):
        checked_path([first, other], SETTINGS)


def test_the_same_structure_is_refused_however_it_lies() -> None:
    other = water()
    other.rotate(40.0, (1, 2, 3))
    other.translate([3.0, 0.0, 1.0])
    first, last = checked_path([water(), other], SETTINGS)
    with pytest.raises(ValueError, match="are the same: no atom is more than 0.000 Å"):
        check_different(first, last)


def test_exchanged_atoms_are_named_unless_they_are_meant() -> None:
    ends = turned_methyl()
    with pytest.raises(ValueError, match=r"seem to be exchanged .* \(H\).* set exchanged_atoms"):
        checked_path(ends, SETTINGS)
    path = checked_path(ends, NEBSettings(exchanged_atoms=True))
    assert np.linalg.norm(path[1].positions - path[0].positions, axis=1).max() > 1.0


def test_a_vacancy_made_by_deleting_another_atom_is_noticed() -> None:
    """Deleting two neighbours in turn shifts all atoms behind them in the list."""
    crystal = bulk("Cu", cubic=True) * 2
    initial, final = crystal.copy(), crystal.copy()
    del initial[0]
    del final[5]
    with pytest.raises(ValueError, match="seem to be exchanged"):
        checked_path([initial, final], SETTINGS)


def test_atoms_cross_boundaries_by_the_short_way() -> None:
    cell = bulk("Cu", cubic=True) * 3
    moved = cell.copy()
    moved.positions[0] -= [0.8, 0.0, 0.5]
    moved.wrap()
    before, after = checked_path([cell, moved], SETTINGS)
    np.testing.assert_allclose(after.positions[0] - before.positions[0], [-0.8, 0.0, -0.5])
    images = interpolated(before, after, 5, "linear")
    steps = [images[i + 1].positions[0] - images[i].positions[0] for i in range(4)]
    np.testing.assert_allclose(steps, [[-0.2, 0.0, -0.125]] * 4)
    far = cell.copy()
    far.positions[0, 0] += 0.48 * cell.cell[0, 0]
    with pytest.raises(ValueError, match=r"atom 0 \(Cu\) moves by 0.48 of a lattice vector"):
        checked_path([cell, far], SETTINGS)


def test_idpp_keeps_atoms_apart() -> None:
    """On the straight line, hydrogens that turn by 120 degrees come closer to their axis."""
    ends = checked_path(turned_methyl(), NEBSettings(exchanged_atoms=True))
    closest = {}
    for kind in ("linear", "idpp"):
        images = interpolated(*ends, 5, kind)
        closest[kind] = min(
            image.get_all_distances()[np.triu_indices(8, 1)].min() for image in images
        )
        assert all(image.calc is None for image in images)
    assert closest["linear"] < 0.97
    assert closest["idpp"] > 1.03


def test_the_callers_structures_stay_as_they_are() -> None:
    ends = turned_methyl()
    ends[1].rotate(30.0, "z")
    before = [atoms.positions.copy() for atoms in ends]
    checked_path(ends, NEBSettings(exchanged_atoms=True))
    for atoms, positions in zip(ends, before, strict=True):
        np.testing.assert_array_equal(atoms.positions, positions)
