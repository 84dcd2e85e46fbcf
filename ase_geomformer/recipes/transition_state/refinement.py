"""From near a saddle point to it, by the Hessian."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from ase import Atoms

from ase_geomformer.evaluate import Evaluator
from ase_geomformer.hessian import STEP
from ase_geomformer.recipes.constraints import FreeDirections
from ase_geomformer.recipes.modes.derivatives import HessianMethod, curvature
from ase_geomformer.recipes.modes.normal_modes import (
    NormalModes,
    default_motions,
    normal_modes,
    whole_motion_vectors,
)

# Å; the atom that moves most goes no further in one step.
LONGEST_STEP = 0.1
# What is told of each step: the structure, its energy (eV) and largest force (eV/Å), and the
# direction (N, 3) that is followed uphill, None before the first step.
Observer: TypeAlias = Callable[[Atoms, float, float, "np.ndarray | None"], None]
# eV/Å^2; flatter directions count as this stiff, so that no step runs away along them.
SOFTEST = 0.5


@dataclass(frozen=True, eq=False)
class Saddle:
    """A saddle point, or how far the way to it came.

    Attributes
    ----------
    atoms : ase.Atoms
    energy_eV : float
    fmax_eV_per_A : float
        Largest force on an atom, along its free directions.
    steps : int
    converged : bool
        Whether the largest force is within the limit.
    moved_A : float
        Largest distance of an atom from where it started.
    modes : NormalModes or None
        At the saddle point, where they were asked for.
    """

    atoms: Atoms
    energy_eV: float
    fmax_eV_per_A: float
    steps: int
    converged: bool
    moved_A: float
    modes: NormalModes | None = None

    @property
    def is_transition_state(self) -> bool | None:
        """Whether exactly one mode is imaginary; None if there are no modes to tell."""
        return None if self.modes is None else len(self.modes.imaginary) == 1


def refine_saddle(
    atoms: Atoms,
    evaluate: Evaluator,
    *,
    fmax: float = 1e-3,
    steps: int = 30,
    direction: np.ndarray | None = None,
    method: HessianMethod = "auto",
    step_A: float = STEP,
    check_modes: bool = True,
    maxstep_A: float = LONGEST_STEP,
    observe: Observer | None = None,
) -> Saddle:
    """Follow one eigenvector of the Hessian uphill and all others downhill.

    Newton steps with the absolute values of the curvatures (C. J. Cerjan, W. H. Miller, J. Chem.
    Phys. 75, 2800 (1981)), no longer than ``maxstep_A`` for any atom. Near the saddle point a few
    steps are enough.

    Parameters
    ----------
    atoms : ase.Atoms
        Near a saddle point; left as it is. Constraints are honoured.
    evaluate : Evaluator
    fmax : float
        Largest force in eV/Å on an atom at the saddle point.
    steps : int
        Maximum number of steps.
    direction : array, shape (N, 3), optional
        Of the reaction, such as the tangent of a path; the softest mode when left out.
    method, step_A
        Of the Hessian, as in :func:`~ase_geomformer.recipes.modes.derivatives.curvature`.
    check_modes : bool
        Compute the vibrations at the end.
    maxstep_A : float
        Maximum displacement of an atom per step, Å.
    observe : callable, optional
        Called with each structure, its energy, its largest force and the direction followed.
    """
    free = FreeDirections.of(atoms, "move along a path")
    moved = atoms.copy()
    mode = None if direction is None else free.along(direction)
    for step in range(steps + 1):
        (found,) = evaluate([moved], ("energy", "forces"))
        forces = free.along(found["forces"])
        largest = float(np.linalg.norm(free.displacements(forces), axis=1).max())
        if observe is not None:
            way_up = None if mode is None else free.displacements(mode)
            observe(moved, float(found["energy"]), largest, way_up)
        if largest <= fmax or step == steps or not np.isfinite(largest):
            break
        matrix, _ = curvature(evaluate, moved, method=method, step_A=step_A)
        way, mode = _step(moved, free, forces, matrix, mode, maxstep_A)
        moved.positions += free.displacements(way)
    converged = largest <= fmax
    modes = None
    if check_modes and converged:
        matrix, _ = curvature(evaluate, moved, method=method, step_A=step_A)
        modes = normal_modes(moved, matrix)
    return Saddle(
        atoms=moved,
        energy_eV=float(found["energy"]),
        fmax_eV_per_A=largest,
        steps=step,
        converged=converged,
        moved_A=float(np.linalg.norm(moved.positions - atoms.positions, axis=1).max()),
        modes=modes,
    )


def _step(
    atoms: Atoms,
    free: FreeDirections,
    forces: np.ndarray,
    matrix: np.ndarray,
    mode: np.ndarray | None,
    maxstep_A: float,
) -> tuple[np.ndarray, np.ndarray]:
    """One step (M,) along the free directions, and the mode (M,) that it followed uphill."""
    equal = np.ones(len(atoms))
    whole = whole_motion_vectors(atoms.positions, equal, default_motions(atoms), free)
    space = np.linalg.svd(whole)[2][len(whole) :].T
    values, vectors = np.linalg.eigh(space.T @ matrix @ space)
    vectors = space @ vectors
    uphill = 0 if mode is None else int(np.argmax(np.abs(mode @ vectors)))
    lengths = (forces @ vectors) / np.maximum(np.abs(values), SOFTEST)
    climb = -lengths[uphill] * vectors[:, uphill]
    lengths[uphill] = 0.0
    # Limited one by one: the longer step along a soft direction must not shorten the way back to
    # the floor of its valley.
    limit = maxstep_A / np.sqrt(2.0)
    way = _limited(climb, free, limit) + _limited(vectors @ lengths, free, limit)
    return way, vectors[:, uphill]


def _limited(way: np.ndarray, free: FreeDirections, longest: float) -> np.ndarray:
    """A step (M,), shortened where an atom would go further than it may."""
    found = float(np.linalg.norm(free.displacements(way), axis=1).max())
    return way * min(1.0, longest / found) if found > 0 else way


def signed(direction: np.ndarray) -> np.ndarray:
    """A direction with its largest component positive, so that its sign is no accident."""
    found: np.ndarray = direction * np.sign(direction.flat[np.abs(direction).argmax()])
    return found
