"""Errors on structures that no student has been trained with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ase_geomformer.data.frames import Frame
from ase_geomformer.learning.committee_errors import Predicted, committee_errors
from ase_geomformer.learning.settings import LearnSettings


def unseen_errors(
    frames: Sequence[Frame],
    predicted: Sequence[Predicted],
    temperatures_K: Sequence[float],
    settings: LearnSettings,
    factor: float,
    member: int | None = None,
) -> dict[str, Any]:
    """Errors on random frames of dynamics, before they are trained on: unbiased ones.

    Parameters
    ----------
    frames : sequence of Frame
        With labels; nothing is found without any.
    predicted : sequence of Predicted
    temperatures_K : sequence of float
        That of the dynamics of each frame.
    settings : LearnSettings
    factor : float
        Calibration of the spread by earlier labels.
    member : int, optional
        The student whose error counts; the mean of those of all if left out.

    Returns
    -------
    dict
        ``use_meV_per_A`` and ``hot_meV_per_A``, force errors at the two temperatures, each with
        the ``_committee_`` error of the mean and the number of ``_frames``; of all frames
        ``energy_meV_per_atom``, ``calibration``, ``ratio`` (error over calibrated spread),
        ``exceedance`` and ``correlation``.
    """
    found: dict[str, Any] = {}
    for name, kelvin in (("use", settings.temperature_K), ("hot", settings.hot_K)):
        rows = [row for row, one in enumerate(temperatures_K) if one == kelvin]
        if rows:
            part = committee_errors([frames[row] for row in rows], [predicted[row] for row in rows])
            members = part.member_mae_meV_per_A
            error = float(np.mean(members)) if member is None else members[member]
            found[f"{name}_meV_per_A"] = error
            found[f"{name}_committee_meV_per_A"] = part.mae_meV_per_A
            found[f"{name}_frames"] = len(rows)
    if not frames:
        return found
    every = committee_errors(frames, predicted, settings.target_meV_per_A, factor)
    return {
        **found,
        "energy_meV_per_atom": every.energy_mae_meV_per_atom,
        "calibration": every.calibration,
        "factor_before": factor,
        "ratio": every.calibration / factor,
        "exceedance": every.exceedance,
        "correlation": every.correlation,
    }
