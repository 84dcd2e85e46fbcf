"""Initial velocities, and how many motions share the kinetic energy."""

from __future__ import annotations

import numpy as np
from ase import Atoms, units

# A total momentum below this fraction of the sum of its parts is zero up to rounding.
_AT_REST = 1e-8
# Moments of inertia below this fraction of the largest belong to the axis of a linear molecule.
_NO_INERTIA = 1e-8


def draw_velocities(atoms: Atoms, temperature_K: float, rng: np.random.Generator) -> None:
    """Give atoms Maxwell-Boltzmann velocities without drift, and a molecule without rotation.

    The velocities are not rescaled: the kinetic energy has its canonical spread about the
    temperature. Structures with constraints keep their drift, which the constraints govern.
    """
    spread = np.sqrt(atoms.get_masses() * units.kB * temperature_K)
    atoms.set_momenta(rng.standard_normal((len(atoms), 3)) * spread[:, None])
    if atoms.constraints:
        return
    masses = atoms.get_masses()[:, None]
    velocity = atoms.get_momenta().sum(axis=0) / masses.sum()
    momenta = atoms.get_momenta() - masses * velocity
    if not atoms.pbc.any():
        arms = atoms.get_positions() - atoms.get_center_of_mass()
        inverse = np.linalg.pinv(_inertia(atoms), rcond=_NO_INERTIA, hermitian=True)
        angular_velocity = inverse @ np.cross(arms, momenta).sum(axis=0)
        momenta -= masses * np.cross(angular_velocity, arms)
    atoms.set_momenta(momenta)


def degrees_of_freedom(atoms: Atoms, conserves_momentum: bool) -> int:
    """Number of motions that share the kinetic energy.

    Three for every atom, less those held by constraints; and, where the dynamics conserves
    momentum, less a drift and (without periodic boundaries) a rotation that are zero at the
    start and so remain zero.

    Raises
    ------
    ValueError
        If no motion is left.
    """
    number = int(atoms.get_number_of_degrees_of_freedom())
    if conserves_momentum and not atoms.constraints:
        momenta = atoms.get_momenta()
        sizes = np.linalg.norm(momenta, axis=1)
        if _vanishes(momenta, sizes):
            number -= 3
            arms = atoms.get_positions() - atoms.get_center_of_mass()
            sizes = sizes * np.linalg.norm(arms, axis=1)
            if not atoms.pbc.any() and _vanishes(np.cross(arms, momenta), sizes):
                moments = np.linalg.eigvalsh(_inertia(atoms))
                number -= int(np.sum(moments > _NO_INERTIA * moments.max()))
    if number <= 0:
        raise ValueError(
            f"{atoms.get_chemical_formula()} cannot move: its constraints or the conservation of "
            "momentum leave no degree of freedom; take nvt-langevin or a larger structure"
        )
    return number


def temperature(atoms: Atoms, number: int) -> float:
    """Temperature in K of the kinetic energy shared by a number of degrees of freedom."""
    return float(2.0 * atoms.get_kinetic_energy() / (number * units.kB))


def _inertia(atoms: Atoms) -> np.ndarray:
    """Tensor of inertia (3, 3) about the centre of mass, amu Å^2."""
    arms = atoms.get_positions() - atoms.get_center_of_mass()
    weighted = atoms.get_masses()[:, None] * arms
    return np.sum(weighted * arms) * np.eye(3) - weighted.T @ arms


def _vanishes(vectors: np.ndarray, sizes: np.ndarray) -> bool:
    """Whether vectors (N, 3) made of parts of these sizes (N,) sum to zero up to rounding."""
    return bool(np.linalg.norm(vectors.sum(axis=0)) <= _AT_REST * sizes.sum())
