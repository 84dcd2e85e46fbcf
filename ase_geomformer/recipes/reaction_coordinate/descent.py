"""Steepest descent in mass-weighted coordinates, both sides of a saddle point together.

The scheme is that of C. Gonzalez and H. B. Schlegel, J. Chem. Phys. 90, 2154 (1989) and J. Phys.
Chem. 94, 5523 (1990): from a point, half a stride along the gradient leads to a pivot, and the next
point is the one of lowest energy on the sphere of half a stride about the pivot. There the path, an
arc of a circle, is tangent to the gradients at both ends, so that it is of second order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from ase import Atoms
from scipy.optimize import brentq

from ase_geomformer.evaluate import Evaluator
from ase_geomformer.recipes.constraints import FreeDirections
from ase_geomformer.recipes.modes.normal_modes import default_motions, whole_motion_vectors

# What atoms do here, for messages about constraints.
DESCEND = "move along a reaction coordinate"
# A point is found where the gradient along its sphere is this small, relative to the whole.
TANGENTIAL = 1e-3
# Share of a stride, squared, by which a step must go on in the direction of the one before.
_ONWARDS = 0.1
# Gaps of eigenvalues below which the next multiplier is looked for, relative to their size.
_CLOSE = 1e-12


@dataclass(eq=False)
class Side:
    """One side of the path, in mass-weighted coordinates along the free directions (M,).

    Attributes
    ----------
    atoms : ase.Atoms
        The point that is evaluated now; it is changed.
    stride : float
        Å amu^1/2
    curvature : array (M, M)
        Approximate Hessian, eV/(Å^2 amu).
    points : list of array (N, 3)
        Positions of the path, the saddle point left out.
    energies, fmax : list of float
        At the points, eV and eV/Å.
    corrections : list of int
        Evaluations that each point took.
    forces : array (N, 3) or None
        At the last point, eV/Å.
    ended : str
        Why the side has ended; empty while it goes on.
    """

    atoms: Atoms
    stride: float
    curvature: np.ndarray
    points: list[np.ndarray] = field(default_factory=list)
    energies: list[float] = field(default_factory=list)
    fmax: list[float] = field(default_factory=list)
    corrections: list[int] = field(default_factory=list)
    forces: np.ndarray | None = None
    ended: str = ""

    def __post_init__(self) -> None:
        self.free = FreeDirections.of(self.atoms, DESCEND)
        self.roots = np.sqrt(self.atoms.get_masses()[self.free.atoms])
        self._pivot = self.atoms.positions.copy()
        self._offset = self._before = self._gradient = np.zeros_like(self.roots)
        self._tries = 0

    @property
    def turned_back(self) -> bool:
        """Whether the last step goes back, or nowhere, as about a minimum."""
        if len(self.points) < 3:
            return False
        first, second = np.diff(np.array(self.points[-3:]), axis=0)
        onwards = float(self.atoms.get_masses() @ (first * second).sum(axis=1))
        return onwards < _ONWARDS * self.stride**2

    def leave(self, forces: np.ndarray, direction: np.ndarray | None = None) -> None:
        """Start the next point from where the atoms are.

        Parameters
        ----------
        forces : array, shape (N, 3)
            There, eV/Å.
        direction : array, shape (M,), optional
            Where to go; down the gradient when left out.
        """
        gradient = self.gradient(forces)
        way = -gradient if direction is None else direction
        half = 0.5 * self.stride * way / np.linalg.norm(way)
        self._pivot = self.atoms.positions + self.displacements(half)
        self._move(-half, gradient)  # the point that is left, as seen from the pivot
        self._tries = 0
        self._move(half, gradient)

    def displacements(self, weighted: np.ndarray) -> np.ndarray:
        """Displacements (N, 3) in Å of mass-weighted ones (M,)."""
        return self.free.displacements(weighted / self.roots)

    def gradient(self, forces: np.ndarray) -> np.ndarray:
        """Mass-weighted gradient (M,), eV/(Å amu^1/2)."""
        return -self.free.along(forces) / self.roots

    def take(self, energy: float, forces: np.ndarray, corrections: int) -> bool:
        """Take in an evaluation; True if the point is found, otherwise the next try is set up."""
        gradient = self.gradient(forces)
        moved, change = self._offset - self._before, gradient - self._gradient
        self.curvature = bofill(self.curvature, moved, change)
        self._tries += 1
        unit = self._offset / np.linalg.norm(self._offset)
        across = gradient - (gradient @ unit) * unit
        size = float(np.linalg.norm(gradient))
        if np.linalg.norm(across) <= TANGENTIAL * size or self._tries > corrections:
            largest = np.linalg.norm(self.free.displacements(self.free.along(forces)), axis=1).max()
            self.points.append(self.atoms.positions.copy())
            self.energies.append(energy)
            self.fmax.append(float(largest))
            self.corrections.append(self._tries)
            self.forces = forces
            return True
        space = self._vibrations()
        inner = lowest_on_sphere(
            space.T @ gradient,
            space.T @ self.curvature @ space,
            space.T @ self._offset,
            0.5 * self.stride,
        )
        self._move(space @ inner, gradient)
        return False

    def _move(self, offset: np.ndarray, gradient: np.ndarray) -> None:
        """Go to another place about the pivot, from one with a gradient."""
        self._before, self._gradient = self._offset, gradient
        self._offset = offset
        self.atoms.positions = self._pivot + self.displacements(offset)

    def _vibrations(self) -> np.ndarray:
        """An orthonormal basis (M, k) of what is no motion of the whole structure."""
        whole = whole_motion_vectors(
            self.atoms.positions, self.atoms.get_masses(), default_motions(self.atoms), self.free
        )
        return np.linalg.svd(whole)[2][len(whole) :].T


def descend(sides: Sequence[Side], evaluate: Evaluator, corrections: int) -> None:
    """Find the next point of every side; they are evaluated together.

    Raises
    ------
    ValueError
        If an energy or a force is not finite.
    """
    waiting = list(sides)
    while waiting:
        found = evaluate([side.atoms for side in waiting], ("energy", "forces"))
        still = []
        for side, results in zip(waiting, found, strict=True):
            forces = np.asarray(results["forces"])
            if not (np.isfinite(results["energy"]) and np.isfinite(forces).all()):
                raise ValueError("an energy or a force along the path is not finite")
            if not side.take(float(results["energy"]), forces, corrections):
                still.append(side)
        waiting = still


def lowest_on_sphere(
    gradient: np.ndarray, curvature: np.ndarray, offset: np.ndarray, radius: float
) -> np.ndarray:
    """The point y (k,) of a sphere about zero where a quadratic model is lowest.

    The model has a gradient (k,) and a curvature (k, k) at an offset. Its minimum under |y| = R
    solves (H - m) y = H y0 - g with a multiplier m below all eigenvalues of H, where |y| rises with
    m from zero to infinity.
    """
    values, vectors = np.linalg.eigh(curvature)
    right = vectors.T @ (curvature @ offset - gradient)

    def excess(multiplier: float) -> float:
        return float(np.linalg.norm(right / (values - multiplier))) - radius

    size = float(np.linalg.norm(right))
    low = values[0] - size / radius  # where |y| <= R
    high = values[0] - max(abs(right[0]) / radius, _CLOSE * max(size / radius, abs(values[0]), 1.0))
    if excess(high) <= 0:  # the force has no part along the softest direction
        multiplier = high
    else:
        multiplier = float(brentq(excess, low - _CLOSE, high, xtol=1e-14, rtol=1e-14))
    inner = right / (values - multiplier)
    found: np.ndarray = vectors @ inner * (radius / np.linalg.norm(inner))
    return found


def bofill(curvature: np.ndarray, moved: np.ndarray, change: np.ndarray) -> np.ndarray:
    """A Hessian (M, M) that gives the change of the gradient (M,) over a displacement (M,).

    The update of J. M. Bofill, J. Comput. Chem. 15, 1 (1994), which lets eigenvalues be negative.
    """
    missing = change - curvature @ moved
    length, overlap = float(moved @ moved), float(missing @ moved)
    if length == 0.0 or not missing.any():
        return curvature
    powell = (np.outer(missing, moved) + np.outer(moved, missing)) / length
    powell -= overlap * np.outer(moved, moved) / length**2
    share = overlap**2 / (length * float(missing @ missing))
    if share == 0.0:
        return curvature + powell
    symmetric = np.outer(missing, missing) / overlap
    updated: np.ndarray = curvature + share * symmetric + (1.0 - share) * powell
    return updated
