"""What modes are made of: second derivatives of the energy and derivatives of the dipole."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from ase import Atoms

from ase_geomformer.evaluate import BatchEvaluator, Evaluator
from ase_geomformer.hessian import STEP, finite_differences, hessian
from ase_geomformer.infrared.polar_tensors import from_differences, polar_tensors
from ase_geomformer.recipes.constraints import FreeDirections
from ase_geomformer.recipes.modes.normal_modes import VIBRATE

HessianMethod = Literal["auto", "exact", "finite-difference"]


@dataclass(frozen=True, eq=False)
class Derivatives:
    """Derivatives along the M free directions of n of N atoms.

    The free directions are x, y and z of each atom that no constraint holds; see
    :class:`~ase_geomformer.recipes.constraints.FreeDirections`.

    Attributes
    ----------
    hessian : array, shape (M, M)
        Of the energy, eV/Å^2.
    method : str
        How they were made, ``exact`` or ``finite-difference``.
    polar_tensors : array, shape (N, 3, 3), or None
        Of the dipole, e, zero for atoms that cannot move; None where it was not asked for.
    """

    hessian: np.ndarray
    method: str
    polar_tensors: np.ndarray | None = None


def curvature(
    evaluate: Evaluator,
    atoms: Atoms,
    *,
    method: HessianMethod = "auto",
    step_A: float = STEP,
    progress: bool = False,
) -> tuple[np.ndarray, str]:
    """Hessian (M, M) along the M free directions in eV/Å^2, and the method that gave it.

    As :func:`derivatives`.
    """
    found = derivatives(evaluate, atoms, method=method, step_A=step_A, progress=progress)
    return found.hessian, found.method


def derivatives(
    evaluate: Evaluator,
    atoms: Atoms,
    *,
    dipole: bool = False,
    method: HessianMethod = "auto",
    step_A: float = STEP,
    progress: bool = False,
) -> Derivatives:
    """Second derivatives of the energy and, if asked for, derivatives of the dipole.

    ``auto`` is exact for a potential whose forces are the gradient of its energy. By finite
    differences, both come from the same displaced structures.

    Raises
    ------
    ValueError
        If exact derivatives are asked of what is not a potential.
    """
    free = FreeDirections.of(atoms, VIBRATE)
    if method == "auto":
        differentiable = isinstance(evaluate, BatchEvaluator) and evaluate.potential.conservative
        method = "exact" if differentiable else "finite-difference"
    by_atom = None
    if method == "exact":
        if not isinstance(evaluate, BatchEvaluator):
            raise ValueError(
                "hessian = 'exact' needs a potential of this package, and "
                f"{type(evaluate.calculator).__name__} is another calculator; use "
                "'finite-difference'"
            )
        rows = hessian(evaluate, atoms, rows=free.free_atoms, dtype=None, progress=progress)
        if dipole:
            by_atom = polar_tensors(evaluate, atoms, rows=free.free_atoms, dtype=None)
    else:
        names = ("forces", "dipole") if dipole else ("forces",)
        found = finite_differences(
            evaluate, atoms, names, rows=free.free_atoms, step_A=step_A, progress=progress
        )
        rows = -found["forces"]
        if dipole:
            by_atom = from_differences(found["dipole"])
    square = free.project(rows)
    tensors = None
    if by_atom is not None:
        tensors = np.zeros((len(atoms), 3, 3))
        tensors[free.free_atoms] = by_atom
    return Derivatives(0.5 * (square + square.T), method, tensors)
