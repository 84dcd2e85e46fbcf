"""Errors of students on their own frames and on others."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ase_geomformer.data.frames import Frame
from ase_geomformer.learning.committee_errors import committee_errors, predict
from ase_geomformer.runtime.prepared import Source

# Frames of the training set that are looked at.
MOST_FRAMES = 40


def member_errors(potentials: Sequence[Source], frames: Sequence[Frame]) -> list[float]:
    """Mean absolute error of each member's forces, meV/Å; empty without frames."""
    if not frames:
        return []
    predicted = predict(potentials, [frame.atoms for frame in frames])
    return committee_errors(frames, predicted).member_mae_meV_per_A


def mean_error(potentials: Sequence[Source], frames: Sequence[Frame]) -> float | None:
    """Mean of :func:`member_errors` over an even selection of frames; None without any."""
    chosen = np.linspace(0, len(frames) - 1, min(len(frames), MOST_FRAMES)).round().astype(int)
    errors = member_errors(potentials, [frames[int(index)] for index in np.unique(chosen)])
    return float(np.mean(errors)) if errors else None
