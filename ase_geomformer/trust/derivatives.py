"""Checks that forces and stress are the derivatives of the energy."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from ase_geomformer.trust.check import Figure, NotApplicableError, check
from ase_geomformer.trust.system_under_test import SystemUnderTest

# Components of the forces that are compared.
COMPONENTS = 6
PATH_A, PATH_STEPS = 0.5, 50


@check("forces")
def forces(system: SystemUnderTest) -> Iterator[Figure]:
    """Forces are the negative gradient of the energy."""
    atoms = system.scattered()
    exact = system.forces(atoms)
    chosen = system.rng().choice(exact.size, size=min(COMPONENTS, exact.size), replace=False)
    largest = 0.0
    for component in chosen:
        index, axis = divmod(int(component), 3)

        def energy(step: float, index: int = index, axis: int = axis) -> float:
            moved = atoms.copy()
            moved.positions[index, axis] += step
            return system.energy(moved)

        largest = max(largest, abs(_slope(energy, system.limits.step) + exact[index, axis]))
    yield Figure("forces", largest, "eV/Å", system.limits.slope_forces)


@check("stress")
def stress(system: SystemUnderTest) -> Iterator[Figure]:
    """Stress is the derivative of the energy with respect to strain, tensile positive."""
    if not system.has_stress:
        raise NotApplicableError("the calculator or the structure has no stress")
    atoms = system.scattered()
    exact = system.stress(atoms)
    largest = 0.0
    for component, (row, column) in enumerate(_VOIGT):

        def energy(strain: float, row: int = row, column: int = column) -> float:
            deformation = np.eye(3)
            deformation[row, column] += strain / 2
            deformation[column, row] += strain / 2
            strained = atoms.copy()
            strained.set_cell(atoms.cell.array @ deformation, scale_atoms=True)
            return system.energy(strained)

        slope = _slope(energy, system.limits.strain) / atoms.get_volume()
        largest = max(largest, abs(slope - exact[component]))
    yield Figure("stress", largest, "eV/Å³", system.limits.slope_stress)


_VOIGT = ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))


@check("net force")
def net_force(system: SystemUnderTest) -> Iterator[Figure]:
    """Forces sum to zero; those of a molecule have no torque."""
    forces = system.reference_forces
    share = np.sqrt(len(forces))  # of rounding, which adds up at random
    total = float(np.abs(forces.sum(axis=0)).max() / share)
    yield Figure("sum of forces", total, "eV/Å", system.limits.forces)
    if not system.atoms.pbc.any():
        arms = system.atoms.positions - system.atoms.positions.mean(axis=0)
        length = max(float(np.abs(arms).max()), 1.0)
        torque = float(np.abs(np.cross(arms, forces).sum(axis=0)).max() / length / share)
        yield Figure("torque / size", torque, "eV/Å", system.limits.forces)


@check("smooth path")
def smooth_path(system: SystemUnderTest) -> Iterator[Figure]:
    """The energy is continuous along a path and equals the work of the forces.

    Simpson's rule over pairs of steps of an atom's straight path.
    """
    rng = system.rng()
    index = int(rng.integers(len(system.atoms)))
    direction = rng.normal(size=3)
    direction /= np.linalg.norm(direction)
    places = np.linspace(-PATH_A / 2, PATH_A / 2, PATH_STEPS + 1)
    energies, pulls = np.empty_like(places), np.empty_like(places)
    for number, place in enumerate(places):
        atoms = system.atoms.copy()
        atoms.positions[index] += place * direction
        energies[number] = system.energy(atoms)
        pulls[number] = system.forces(atoms)[index] @ direction
    step = PATH_A / PATH_STEPS
    work = step / 3 * (pulls[:-2:2] + 4 * pulls[1:-1:2] + pulls[2::2])
    jumps = np.abs(np.diff(energies[::2]) + work)
    yield Figure("energy - work", float(jumps.max()), "eV", system.limits.path)


def _slope(function: Callable[[float], float], step: float) -> float:
    """Derivative at zero by central differences of fourth order."""
    near = function(step) - function(-step)
    far = function(2 * step) - function(-2 * step)
    return (8 * near - far) / (12 * step)
