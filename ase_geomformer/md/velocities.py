"""Initial velocities, and how many motions share the kinetic energy."""

from __future__ import annotations

import numpy as np
from ase import Atoms, units

from ase_geomformer.md import constraints
from ase_geomformer.md.constraints import Manifold

# A total momentum below this fraction of the sum of its parts is zero up to rounding.
_AT_REST = 1e-8
# Momenta below this, in ASE's units, are rounding errors of none at all.
_NO_MOMENTUM = 1e-6
# Moments of inertia below this fraction of the largest belong to the axis of a linear molecule.
_NO_INERTIA = 1e-8


def draw_velocities(
    atoms: Atoms,
    temperature_K: float,
    rng: np.random.Generator,
    manifold: Manifold | None = None,
) -> None:
    """Give atoms Maxwell-Boltzmann velocities without drift, and a molecule without rotation.

    The velocities are not rescaled: the kinetic energy has its canonical spread about the
    temperature. Those of constrained atoms are canonical among the motions that the constraints
    allow; drift and rotation are taken out where constraints let them be conserved.

    Parameters
    ----------
    atoms : ase.Atoms
    temperature_K : float
    rng : numpy.random.Generator
    manifold : Manifold, optional
        That of the atoms' constraints, if it is at hand.
    """
    spread = np.sqrt(atoms.get_masses() * units.kB * temperature_K)
    momenta = rng.standard_normal((len(atoms), 3)) * spread[:, None]
    if atoms.constraints:
        manifold = manifold or constraints.manifold_of(atoms)
        assert manifold is not None
        momenta = manifold.project(atoms.positions, momenta)
        for motions in _common_motions(atoms, manifold):
            momenta = _without(atoms, momenta, motions)
        atoms.set_momenta(momenta, apply_constraint=False)
        return
    atoms.set_momenta(momenta)
    masses = atoms.get_masses()[:, None]
    velocity = atoms.get_momenta().sum(axis=0) / masses.sum()
    momenta = atoms.get_momenta() - masses * velocity
    if not atoms.pbc.any():
        arms = atoms.get_positions() - atoms.get_center_of_mass()
        inverse = np.linalg.pinv(_inertia(atoms), rcond=_NO_INERTIA, hermitian=True)
        angular_velocity = inverse @ np.cross(arms, momenta).sum(axis=0)
        momenta -= masses * np.cross(angular_velocity, arms)
    atoms.set_momenta(momenta)


def degrees_of_freedom(
    atoms: Atoms, conserves_momentum: bool, manifold: Manifold | None = None
) -> int:
    """Number of motions that share the kinetic energy.

    Three for every atom, less those held by constraints; and, where the dynamics conserves
    momentum, less a drift and (without periodic boundaries) a rotation that are zero at the
    start and so remain zero.

    Raises
    ------
    ValueError
        If no motion is left.
    """
    number = 3 * len(atoms)
    if atoms.constraints:
        manifold = manifold or constraints.manifold_of(atoms)
        assert manifold is not None
        number -= manifold.removed
        if conserves_momentum:
            number -= _conserved_at_rest(atoms, manifold)
    elif conserves_momentum:
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


def _common_motions(atoms: Atoms, manifold: Manifold) -> list[np.ndarray]:
    """Velocities (k, N, 3) of the translations, then of the rotations, of all constrained atoms.

    Only of those that neither constraints nor, for any potential that knows no place or
    direction, forces change.
    """
    translations = constraints.translations(atoms, manifold)
    motions = [np.repeat(translations[:, None], len(atoms), axis=1)]
    if constraints.lets_rotate(atoms, manifold):
        arms = atoms.get_positions() - atoms.get_center_of_mass()
        axes = np.linalg.eigh(_inertia(atoms))
        turning = axes.eigenvectors.T[axes.eigenvalues > _NO_INERTIA * axes.eigenvalues.max()]
        motions.append(np.cross(turning[:, None], arms))
    return motions


def _without(atoms: Atoms, momenta: np.ndarray, motions: np.ndarray) -> np.ndarray:
    """Momenta (N, 3) without their part along motions (k, N, 3), in the metric of the masses."""
    carried = atoms.get_masses()[:, None] * motions
    inertia = np.einsum("iac,jac->ij", motions, carried)
    rates = np.linalg.solve(inertia, np.einsum("iac,ac->i", motions, momenta))
    return np.asarray(momenta - np.einsum("i,iac->ac", rates, carried))


def _conserved_at_rest(atoms: Atoms, manifold: Manifold) -> int:
    """Number of conserved motions of all constrained atoms together that are zero."""
    number, momenta = 0, atoms.get_momenta()
    for motions in _common_motions(atoms, manifold):
        parts = motions * momenta
        sizes = np.maximum(np.abs(parts).sum(axis=(1, 2)), _NO_MOMENTUM)
        if np.any(np.abs(parts.sum(axis=(1, 2))) > _AT_REST * sizes):
            break
        number += len(motions)
    return number
