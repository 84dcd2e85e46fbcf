"""Checks that equal structures, differently described, get equal results."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from ase import Atoms
from ase.stress import full_3x3_to_voigt_6_stress, voigt_6_to_full_3x3_stress
from scipy.spatial.transform import Rotation

from ase_geomformer.trust.check import Figure, NotApplicableError, check
from ase_geomformer.trust.system_under_test import Subject

# A supercell is doubled along every periodic direction only up to this many atoms.
LARGE = 1000


def differences(subject: Subject, energy: float, forces: np.ndarray) -> Iterator[Figure]:
    """Energy and forces (N, 3) beside those of the structure itself."""
    limits, atoms = subject.limits, subject.atoms
    by_atom = abs(energy - subject.reference_energy) / len(atoms)
    yield Figure("energy", by_atom, "eV/atom", limits.energy)
    apart = float(np.abs(forces - subject.reference_forces).max())
    yield Figure("forces", apart, "eV/Å", limits.forces)


@check("translation")
def translation(subject: Subject) -> Iterator[Figure]:
    """Moving everything changes nothing."""
    shift = subject.rng().normal(scale=10.0, size=3)
    atoms = subject.moved(subject.atoms.positions + shift)
    yield from differences(subject, subject.energy(atoms), subject.forces(atoms))


@check("rotation")
def rotation(subject: Subject) -> Iterator[Figure]:
    """Forces and stress turn with the structure, also with its mirror image."""
    turn = Rotation.random(rng=subject.rng()).as_matrix()
    largest: dict[str, Figure] = {}
    for matrix in (turn, -turn):
        atoms = subject.atoms.copy()
        atoms.positions = atoms.positions @ matrix.T
        atoms.cell.array[:] = atoms.cell.array @ matrix.T
        figures = list(differences(subject, subject.energy(atoms), subject.forces(atoms) @ matrix))
        if subject.has_stress:
            tensor = voigt_6_to_full_3x3_stress(subject.stress(atoms))
            back = full_3x3_to_voigt_6_stress(matrix.T @ tensor @ matrix)
            apart = float(np.abs(back - subject.stress(subject.atoms)).max())
            figures.append(Figure("stress", apart, "eV/Å³", subject.limits.stress))
        for figure in figures:
            known = largest.get(figure.quantity, figure)
            largest[figure.quantity] = max(known, figure, key=lambda entry: entry.value)
    yield from largest.values()


@check("permutation")
def permutation(subject: Subject) -> Iterator[Figure]:
    """The order of the atoms does not matter."""
    if len(subject.atoms) < 2:
        raise NotApplicableError("there is only one atom")
    order = subject.rng().permutation(len(subject.atoms))
    atoms = subject.atoms[order]
    forces = np.empty_like(subject.reference_forces)
    forces[order] = subject.forces(atoms)
    yield from differences(subject, subject.energy(atoms), forces)


@check("periodic images")
def images(subject: Subject) -> Iterator[Figure]:
    """Atoms outside of the cell count as their images inside."""
    if not subject.atoms.pbc.any():
        raise NotApplicableError("the structure is not periodic")
    cells = subject.rng().integers(-3, 4, size=(len(subject.atoms), 3)) * subject.atoms.pbc
    atoms = subject.moved(subject.atoms.positions + cells @ subject.atoms.cell.array)
    yield from differences(subject, subject.energy(atoms), subject.forces(atoms))


@check("supercell")
def supercell(subject: Subject) -> Iterator[Figure]:
    """A repeated cell has as much energy for each atom, and the same forces."""
    atoms = subject.atoms
    if not atoms.pbc.any():
        raise NotApplicableError("the structure is not periodic")
    if any(np.asarray(atoms.info.get(key, default)) != default for key, default in _NEUTRAL):
        raise NotApplicableError("a charge or spin of the cell does not say how to repeat it")
    repeats = np.where(atoms.pbc, 2, 1)
    if len(atoms) * repeats.prod() > LARGE:
        lengths = np.where(atoms.pbc, atoms.cell.lengths(), np.inf)
        repeats = np.where(np.arange(3) == lengths.argmin(), 2, 1)
    larger = atoms.repeat(tuple(repeats))
    copies = int(repeats.prod())
    forces = subject.forces(larger).reshape(copies, len(atoms), 3)
    farthest = np.abs(forces - subject.reference_forces).max(axis=(1, 2)).argmax()
    yield from differences(subject, subject.energy(larger) / copies, forces[farthest])


_NEUTRAL = (("charge", 0), ("spin", 1))


@check("open boundaries")
def open_boundaries(subject: Subject) -> Iterator[Figure]:
    """Beyond a wide gap it does not matter whether the cell is periodic."""
    if not subject.is_local:
        raise NotApplicableError("atoms see each other at any distance")
    gap = subject.reach + 1.0
    closed = _with_gap(subject.atoms, gap)
    opened = closed.copy()
    opened.pbc = subject.atoms.pbc & (np.arange(3) != 2)
    by_atom = abs(subject.energy(closed) - subject.energy(opened)) / len(closed)
    yield Figure("energy", by_atom, "eV/atom", subject.limits.energy)
    apart = float(np.abs(subject.forces(closed) - subject.forces(opened)).max())
    yield Figure("forces", apart, "eV/Å", subject.limits.forces)


def _with_gap(atoms: Atoms, gap: float) -> Atoms:
    """A periodic copy with room along its third lattice vector, or around a molecule."""
    atoms = atoms.copy()
    if not atoms.pbc.any():
        atoms.center(vacuum=gap / 2)
        atoms.pbc = True
        return atoms
    atoms.set_cell(atoms.cell.complete(), scale_atoms=False)
    atoms.wrap()
    heights = atoms.cell.volume / np.linalg.norm(np.cross(*atoms.cell.array[:2]))
    normal = np.cross(*atoms.cell.array[:2])
    along = atoms.positions @ (normal / np.linalg.norm(normal))
    atoms.cell.array[2] *= (np.ptp(along) + gap) / heights
    atoms.pbc = [*atoms.pbc[:2], True]
    return atoms
