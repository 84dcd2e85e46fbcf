"""Checks of invariance: equivalent structures have equal results."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from ase import Atoms
from ase.stress import full_3x3_to_voigt_6_stress, voigt_6_to_full_3x3_stress
from scipy.spatial.transform import Rotation

from ase_geomformer.trust.check import Figure, NotApplicableError, check
from ase_geomformer.trust.system_under_test import SystemUnderTest

# A supercell is doubled along every periodic direction only up to this many atoms.
LARGE = 1000


def differences(system: SystemUnderTest, energy: float, forces: np.ndarray) -> Iterator[Figure]:
    """Differences of energy and forces (N, 3) from those of the structure."""
    limits, atoms = system.limits, system.atoms
    by_atom = abs(energy - system.reference_energy) / len(atoms)
    yield Figure("energy", by_atom, "eV/atom", limits.energy)
    apart = float(np.abs(forces - system.reference_forces).max())
    yield Figure("forces", apart, "eV/Å", limits.forces)


@check("translation")
def translation(system: SystemUnderTest) -> Iterator[Figure]:
    """Translation of all atoms does not change the results."""
    shift = system.rng().normal(scale=10.0, size=3)
    atoms = system.moved(system.atoms.positions + shift)
    yield from differences(system, system.energy(atoms), system.forces(atoms))


@check("rotation")
def rotation(system: SystemUnderTest) -> Iterator[Figure]:
    """Forces and stress rotate with the structure, also with its mirror image."""
    turn = Rotation.random(rng=system.rng()).as_matrix()
    largest: dict[str, Figure] = {}
    for matrix in (turn, -turn):
        atoms = system.atoms.copy()
        atoms.positions = atoms.positions @ matrix.T
        atoms.cell.array[:] = atoms.cell.array @ matrix.T
        figures = list(differences(system, system.energy(atoms), system.forces(atoms) @ matrix))
        if system.has_stress:
            tensor = voigt_6_to_full_3x3_stress(system.stress(atoms))
            back = full_3x3_to_voigt_6_stress(matrix.T @ tensor @ matrix)
            apart = float(np.abs(back - system.stress(system.atoms)).max())
            figures.append(Figure("stress", apart, "eV/Å³", system.limits.stress))
        for figure in figures:
            known = largest.get(figure.quantity, figure)
            largest[figure.quantity] = max(known, figure, key=lambda entry: entry.value)
    yield from largest.values()


@check("permutation")
def permutation(system: SystemUnderTest) -> Iterator[Figure]:
    """The order of the atoms does not matter."""
    if len(system.atoms) < 2:
        raise NotApplicableError("there is only one atom")
    order = system.rng().permutation(len(system.atoms))
    atoms = system.atoms[order]
    forces = np.empty_like(system.reference_forces)
    forces[order] = system.forces(atoms)
    yield from differences(system, system.energy(atoms), forces)


@check("periodic images")
def images(system: SystemUnderTest) -> Iterator[Figure]:
    """Atoms outside the cell are equivalent to their images inside."""
    if not system.atoms.pbc.any():
        raise NotApplicableError("the structure is not periodic")
    cells = system.rng().integers(-3, 4, size=(len(system.atoms), 3)) * system.atoms.pbc
    atoms = system.moved(system.atoms.positions + cells @ system.atoms.cell.array)
    yield from differences(system, system.energy(atoms), system.forces(atoms))


@check("supercell")
def supercell(system: SystemUnderTest) -> Iterator[Figure]:
    """A supercell has the same energy per atom and the same forces."""
    atoms = system.atoms
    if not atoms.pbc.any():
        raise NotApplicableError("the structure is not periodic")
    if any(np.asarray(atoms.info.get(key, default)) != default for key, default in _NEUTRAL):
        raise NotApplicableError("the cell is charged or has spin, so the supercell is undefined")
    repeats = np.where(atoms.pbc, 2, 1)
    if len(atoms) * repeats.prod() > LARGE:
        lengths = np.where(atoms.pbc, atoms.cell.lengths(), np.inf)
        repeats = np.where(np.arange(3) == lengths.argmin(), 2, 1)
    larger = atoms.repeat(tuple(repeats))
    copies = int(repeats.prod())
    forces = system.forces(larger).reshape(copies, len(atoms), 3)
    farthest = np.abs(forces - system.reference_forces).max(axis=(1, 2)).argmax()
    yield from differences(system, system.energy(larger) / copies, forces[farthest])


_NEUTRAL = (("charge", 0), ("spin", 1))


@check("open boundaries")
def open_boundaries(system: SystemUnderTest) -> Iterator[Figure]:
    """With a wide vacuum gap, periodic and open boundaries give the same results."""
    if not system.is_local:
        raise NotApplicableError("the potential has no finite cutoff")
    gap = system.reach + 1.0
    closed = _with_gap(system.atoms, gap)
    opened = closed.copy()
    opened.pbc = system.atoms.pbc & (np.arange(3) != 2)
    by_atom = abs(system.energy(closed) - system.energy(opened)) / len(closed)
    yield Figure("energy", by_atom, "eV/atom", system.limits.energy)
    apart = float(np.abs(system.forces(closed) - system.forces(opened)).max())
    yield Figure("forces", apart, "eV/Å", system.limits.forces)


def _with_gap(atoms: Atoms, gap: float) -> Atoms:
    """A periodic copy with vacuum along the third lattice vector, or around a molecule."""
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
