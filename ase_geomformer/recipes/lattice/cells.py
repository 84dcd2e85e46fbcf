"""Structures for ASE and for phonopy, and the choice of a supercell."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from ase import Atoms

from ase_geomformer.recipes import crystals
from ase_geomformer.recipes.base import Run
from ase_geomformer.recipes.symmetry import symmetry_dataset

if TYPE_CHECKING:
    from phonopy.structure.atoms import PhonopyAtoms

# amu; masses that differ by more are of different isotopes.
_SAME_MASS = 1e-3


def to_phonopy(atoms: Atoms) -> PhonopyAtoms:
    """A crystal as phonopy knows it, with ASE's masses."""
    from phonopy.structure.atoms import PhonopyAtoms

    return PhonopyAtoms(
        numbers=atoms.numbers,
        cell=atoms.cell.array,
        scaled_positions=atoms.get_scaled_positions(wrap=False),
        masses=atoms.get_masses(),
    )


def to_ase(crystal: PhonopyAtoms) -> Atoms:
    """A crystal as ASE knows it."""
    return Atoms(
        numbers=crystal.numbers,
        cell=crystal.cell,
        positions=crystal.positions,
        masses=crystal.masses,
        pbc=True,
    )


def free_crystal(atoms: Atoms, run: Run) -> Atoms:
    """A copy of a crystal without its constraints; what has no phonons is refused.

    Raises
    ------
    ValueError
        If the structure is no crystal, or atoms of an element have several masses: phonopy finds
        symmetry and primitive cell by elements alone.
    """
    remedy = "give a slab a cell with vacuum and pbc = True"
    if not atoms.pbc.any():
        remedy = "for a molecule, use vibrations"
    free = crystals.free_crystal(atoms, run, "a phonon calculation", remedy)
    for symbol in sorted(set(free.symbols)):
        masses = free.get_masses()[free.symbols == symbol]
        if np.ptp(masses) > _SAME_MASS:
            raise ValueError(
                f"the atoms of {symbol} have masses from {masses.min():g} to {masses.max():g} amu; "
                "lattice dynamics takes one mass for each element, so give them one"
            )
    return free


def supercell_matrix(
    atoms: Atoms, choice: Sequence[int] | None, length_A: float, symprec: float = 1e-5
) -> np.ndarray:
    """The supercell as whole multiples (3, 3) of the cell, in phonopy's convention.

    The columns of the matrix are the supercell's vectors in units of the cell's. By length, the
    conventional cell, whose vectors are close to orthogonal, is repeated until the planes that
    bound the supercell are ``length_A`` apart along each of its axes.

    Parameters
    ----------
    atoms : ase.Atoms
    choice : sequence of int, optional
        Three multiples, or the nine numbers of the matrix row by row; by length when left out.
    length_A : float
        Smallest distance between opposite faces in Å.
    symprec : float
        Tolerance of the symmetry search in Å.

    Raises
    ------
    ValueError
        If the choice is not three or nine numbers, or the supercell has no volume.
    """
    if choice is not None:
        numbers = np.array(choice)
        if numbers.size not in (3, 9) or not (numbers == np.round(numbers)).all():
            raise ValueError(
                f"supercell = {list(choice)} must be three multiples of the cell or the nine whole "
                "numbers of a matrix, row by row"
            )
        matrix = np.diag(numbers.ravel()) if numbers.size == 3 else numbers.reshape(3, 3)
        if np.linalg.det(matrix) < 0.5:
            raise ValueError(f"supercell = {list(choice)} must have a positive volume")
        return matrix.astype(int)
    conventional = _conventional(atoms, symprec)
    vectors = conventional.T @ atoms.cell.array
    multiples = np.ceil(length_A / heights(vectors) - 1e-6).astype(int)
    return conventional @ np.diag(np.maximum(multiples, 1))


def primitive_matrix(crystal: PhonopyAtoms, centring: str, symprec: float) -> Any:
    """The primitive cell in units of the cell's vectors, or its centring, as phonopy takes it."""
    from phonopy.structure.cells import guess_primitive_matrix

    return guess_primitive_matrix(crystal, symprec) if centring == "auto" else centring


def heights(cell: np.ndarray) -> np.ndarray:
    """Distances (3,) between opposite faces of a cell with vectors in rows (3, 3)."""
    return np.asarray(1.0 / np.linalg.norm(np.linalg.inv(cell), axis=0))


def _conventional(atoms: Atoms, symprec: float) -> np.ndarray:
    """The conventional cell as whole multiples of this one; the identity where it is none."""
    dataset = symmetry_dataset(atoms, symprec)
    if dataset is None:
        return np.eye(3, dtype=int)
    # spglib: (a b c)_standard = (a b c) P^-1, as columns.
    matrix = np.linalg.inv(dataset.transformation_matrix)
    whole = np.rint(matrix).astype(int)
    if np.abs(matrix - whole).max() > 1e-3 or np.linalg.det(whole) < 0.5:
        return np.eye(3, dtype=int)
    return whole
