from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, make_supercell

from ase_geomformer.recipes.lattice.cells import heights, supercell_matrix, to_ase, to_phonopy

pytestmark = pytest.mark.quick


@pytest.mark.parametrize(
    ("crystal", "atoms"),
    [
        (bulk("Si"), 216),
        (bulk("Si", cubic=True), 216),
        (bulk("Cu"), 500),
        (bulk("Fe"), 432),
        (bulk("Ti"), 288),
    ],
)
def test_supercell_by_length_is_close_to_a_cube(crystal: Atoms, atoms: int) -> None:
    matrix = supercell_matrix(crystal, None, 15.0)
    supercell = make_supercell(crystal, matrix.T)
    assert len(supercell) == atoms
    assert heights(supercell.cell.array).min() >= 15.0 - 1e-6
    # As small as it can be: an axis with one repeat less is too short.
    assert (heights(supercell.cell.array) - 15.0 < crystal.cell.lengths().max() * 2).all()
    np.testing.assert_allclose(sorted(np.abs(supercell.cell.angles() - 90.0))[:2], 0.0, atol=1e-6)


def test_supercell_by_numbers() -> None:
    crystal = bulk("Cu")
    np.testing.assert_array_equal(supercell_matrix(crystal, [2, 3, 4], 9.0), np.diag([2, 3, 4]))
    matrix = [-1, 1, 1, 1, -1, 1, 1, 1, -1]
    cubic = np.array(supercell_matrix(crystal, matrix, 9.0)).T @ crystal.cell.array
    np.testing.assert_allclose(cubic, 3.61 * np.eye(3), atol=1e-10)


def test_crystals_go_to_phonopy_and_back() -> None:
    crystal = bulk("NaCl", "rocksalt", a=5.64)
    crystal.set_masses([23.5, 36.0])
    there = to_ase(to_phonopy(crystal))
    np.testing.assert_allclose(there.positions, crystal.positions, atol=1e-12)
    np.testing.assert_array_equal(there.get_masses(), crystal.get_masses())
    assert there.pbc.all()
