"""Predictions of several students: their mean, their spread, and how far it can be trusted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from ase_geomformer.accuracy.spread import spread_quality
from ase_geomformer.data.frames import Frame
from ase_geomformer.evaluate import evaluate_many
from ase_geomformer.runtime.prepared import Source

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Predicted:
    """What the students say of one structure.

    Attributes
    ----------
    members : ndarray, shape (M, N, 3)
        Forces by each of them, eV/Å.
    energies : ndarray, shape (M,), eV
    """

    members: Array
    energies: Array

    @property
    def forces(self) -> Array:
        """Mean forces (N, 3), eV/Å."""
        return np.array(self.members.mean(axis=0))

    @property
    def spread(self) -> Array:
        """Root of the sample variance of each atom's force vector (N,), eV/Å."""
        return np.sqrt(self.members.var(axis=0, ddof=1).sum(axis=1))


def predict(potentials: Sequence[Source], structures: Sequence[Atoms]) -> list[Predicted]:
    """Energies and forces of structures by every potential, in batches."""
    if not structures:
        return []
    results = [evaluate_many(structures, potential) for potential in potentials]
    return [
        Predicted(
            np.array([result["forces"] for result in found]),
            np.array([result["energy"] for result in found]),
        )
        for found in zip(*results, strict=True)
    ]


@dataclass(frozen=True)
class CommitteeErrors:
    """Errors of the students on labelled structures.

    Attributes
    ----------
    frames : int
    mae_meV_per_A : float
        Mean absolute error of the components of the mean force.
    member_mae_meV_per_A : list of float
        The same for each member alone.
    energy_mae_meV_per_atom : float
        Mean absolute error of the mean energy per atom.
    calibration : float
        Root mean square error of the atoms' forces over their root mean square spread: what
        spreads are to be multiplied by.
    exceedance : float
        Share of atoms whose error is above three times the calibrated spread and the target
        error together.
    correlation : float
        Rank correlation of errors and spreads of atoms.
    """

    frames: int
    mae_meV_per_A: float
    member_mae_meV_per_A: list[float]
    energy_mae_meV_per_atom: float
    calibration: float
    exceedance: float
    correlation: float


def committee_errors(
    frames: Sequence[Frame],
    predicted: Sequence[Predicted],
    target_meV_per_A: float = 0.0,
    factor: float | None = None,
) -> CommitteeErrors:
    """Compare predictions with labels.

    Parameters
    ----------
    frames : sequence of Frame
        With energies and forces; one at least.
    predicted : sequence of Predicted
    target_meV_per_A : float
        Errors of this size do not count as exceeding, however small the spread is.
    factor : float, optional
        Calibration of the spread by earlier frames; that of these frames if left out.
    """
    reference = [np.asarray(frame.forces) for frame in frames]
    energies = np.array([float(frame.energy or 0.0) for frame in frames])
    sizes = np.array([len(frame.atoms) for frame in frames])
    told = np.array([one.energies.mean() for one in predicted])
    differences = [one.forces - known for one, known in zip(predicted, reference, strict=True)]
    errors = np.concatenate([np.linalg.norm(one, axis=1) for one in differences])
    spreads = np.concatenate([one.spread for one in predicted])
    members = [
        1e3 * _mean_size([p.members[m] - r for p, r in zip(predicted, reference, strict=True)])
        for m in range(len(predicted[0].members))
    ]
    # Three components of the target error each.
    floor = float(np.sqrt(3.0) * 1e-3 * target_meV_per_A)
    quality = spread_quality(errors, spreads, factor=factor, floor=floor)
    return CommitteeErrors(
        frames=len(frames),
        mae_meV_per_A=1e3 * _mean_size(differences),
        member_mae_meV_per_A=members,
        energy_mae_meV_per_atom=float(1e3 * np.abs((told - energies) / sizes).mean()),
        **vars(quality),
    )


def _mean_size(differences: Sequence[Array]) -> float:
    return float(np.abs(np.concatenate([one.ravel() for one in differences])).mean())
