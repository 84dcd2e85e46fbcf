"""Errors of predictions, as quoted in tables and cards."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from ase import units
from numpy.typing import NDArray

Array = NDArray[np.float64]

SMALLEST_DIRECTED_FORCE = 1e-3
"""Reference forces below this, eV/Å, are taken to have no direction."""


@dataclass(frozen=True)
class EnergyErrors:
    """Errors of total energies, prediction minus reference.

    Attributes
    ----------
    frames
        Number of frames with a labelled energy.
    mae_meV, rmse_meV, max_error_meV
        Of total energies.
    mae_meV_per_atom, rmse_meV_per_atom, max_error_meV_per_atom
        Of total energies divided by the number of atoms.
    mean_error_meV_per_atom
        With its sign: far from zero where the potential counts from another zero of energy.
    """

    frames: int
    mae_meV: float
    rmse_meV: float
    max_error_meV: float
    mae_meV_per_atom: float
    rmse_meV_per_atom: float
    max_error_meV_per_atom: float
    mean_error_meV_per_atom: float


@dataclass(frozen=True)
class ForceErrors:
    """Errors of forces.

    Attributes
    ----------
    atoms
        Number of atoms with a labelled force.
    mae_meV_per_A, rmse_meV_per_A
        Over Cartesian components.
    max_error_meV_per_A
        Longest difference of two force vectors.
    mean_cosine
        Mean cosine of the angle between predicted and reference forces, over the atoms whose
        reference force is at least 1 meV/Å; None where there is no such atom.
    """

    atoms: int
    mae_meV_per_A: float
    rmse_meV_per_A: float
    max_error_meV_per_A: float
    mean_cosine: float | None


@dataclass(frozen=True)
class StressErrors:
    """Errors of stresses, over all nine components.

    Attributes
    ----------
    frames
        Number of frames with a labelled stress.
    mae_GPa, rmse_GPa, max_error_GPa
        Over components.
    """

    frames: int
    mae_GPa: float
    rmse_GPa: float
    max_error_GPa: float


def energy_errors(
    reference: Array, prediction: Array, atom_counts: NDArray[np.int64]
) -> EnergyErrors:
    """Errors of total energies (F,) in eV of structures with these numbers of atoms (F,)."""
    total = 1e3 * (prediction - reference)
    per_atom = total / atom_counts
    return EnergyErrors(
        frames=len(total),
        mae_meV=mae(total),
        rmse_meV=rmse(total),
        max_error_meV=largest(total),
        mae_meV_per_atom=mae(per_atom),
        rmse_meV_per_atom=rmse(per_atom),
        max_error_meV_per_atom=largest(per_atom),
        mean_error_meV_per_atom=float(per_atom.mean()),
    )


def force_errors(reference: Array, prediction: Array) -> ForceErrors:
    """Errors of forces (N, 3) in eV/Å."""
    difference = 1e3 * (prediction - reference)
    return ForceErrors(
        atoms=len(difference),
        mae_meV_per_A=mae(difference),
        rmse_meV_per_A=rmse(difference),
        max_error_meV_per_A=float(np.linalg.norm(difference, axis=1).max()),
        mean_cosine=mean_cosine(reference, prediction),
    )


def stress_errors(reference: Array, prediction: Array) -> StressErrors:
    """Errors of stresses (F, 3, 3) in eV/Å^3."""
    difference = (prediction - reference) / units.GPa
    return StressErrors(
        frames=len(difference),
        mae_GPa=mae(difference),
        rmse_GPa=rmse(difference),
        max_error_GPa=largest(difference),
    )


def mean_cosine(reference: Array, prediction: Array) -> float | None:
    """Mean cosine between vectors (N, 3); None where no reference vector has a direction."""
    lengths = np.linalg.norm(reference, axis=1)
    directed = lengths >= SMALLEST_DIRECTED_FORCE
    if not directed.any():
        return None
    product = (reference * prediction).sum(axis=1)[directed]
    # A predicted force of zero points nowhere; its product is zero, and so is its cosine.
    predicted = np.maximum(np.linalg.norm(prediction, axis=1)[directed], np.finfo(float).tiny)
    return float((product / lengths[directed] / predicted).mean())


def mae(difference: Array) -> float:
    """Mean absolute value."""
    return float(np.abs(difference).mean())


def rmse(difference: Array) -> float:
    """Root mean square."""
    return float(np.sqrt(np.square(difference).mean()))


def largest(difference: Array) -> float:
    """Largest absolute value."""
    return float(np.abs(difference).max())
