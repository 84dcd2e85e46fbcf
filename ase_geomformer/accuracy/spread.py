"""How well the spread of several potentials tells their error."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ase_geomformer.accuracy.comparison import Comparison
from ase_geomformer.accuracy.errors import Array, rmse
from ase_geomformer.accuracy.evaluation import Evaluation

EXCEEDING = 3.0
"""An error counts as exceeding when it is above so many times its calibrated spread."""


@dataclass(frozen=True)
class SpreadQuality:
    """Errors of atoms' forces against their spread.

    Attributes
    ----------
    calibration : float
        Root mean square error over root mean square spread: what spreads are to be multiplied by.
        One is perfect, more is overconfident.
    exceedance : float
        Share of atoms whose error is above three times the calibrated spread.
    correlation : float
        Rank correlation of errors and spreads.
    """

    calibration: float
    exceedance: float
    correlation: float


def spread_quality(
    errors: Array, spreads: Array, *, factor: float | None = None, floor: float = 0.0
) -> SpreadQuality:
    """Compare the errors of forces with their spreads.

    Parameters
    ----------
    errors, spreads : ndarray, shape (N,)
        Length of the error of each atom's force, and root of the sample variance of the vector.
    factor : float, optional
        Calibration known beforehand, for the exceedance; that of these atoms if left out.
    floor : float
        Error that is added in quadrature to the calibrated spread, in the unit of the errors.
    """
    calibration = rmse(errors) / max(rmse(spreads), 1e-12)
    limit = EXCEEDING * np.hypot((calibration if factor is None else factor) * spreads, floor)
    return SpreadQuality(
        calibration=float(calibration),
        exceedance=float((errors > limit).mean()),
        correlation=_rank_correlation(errors, spreads),
    )


def mean_evaluation(members: Sequence[Evaluation]) -> Evaluation:
    """The evaluation of the mean of several potentials, from those of each on the same frames."""
    first = members[0]
    comparisons = {
        target: Comparison(
            found.reference,
            np.mean([member.comparisons[target].prediction for member in members], axis=0),
            found.rows,
        )
        for target, found in first.comparisons.items()
        if all(target in member.comparisons for member in members)
    }
    return Evaluation(first.frames, comparisons)


def forces_spread_quality(
    members: Sequence[Evaluation], factor: float = 1.0
) -> SpreadQuality | None:
    """Quality of the spread of the forces, times a factor; None where no frame has forces."""
    if any("forces" not in member.comparisons for member in members):
        return None
    forces = np.array([member.comparisons["forces"].prediction for member in members])
    reference = members[0].comparisons["forces"].reference
    errors = np.linalg.norm(forces.mean(axis=0) - reference, axis=1)
    spreads = factor * np.sqrt(forces.var(axis=0, ddof=1).sum(axis=1))
    return spread_quality(errors, spreads)


def _rank_correlation(first: Array, second: Array) -> float:
    from scipy.stats import spearmanr

    if len(first) < 3 or np.ptp(first) == 0.0 or np.ptp(second) == 0.0:
        return 0.0
    return float(spearmanr(first, second).statistic)
