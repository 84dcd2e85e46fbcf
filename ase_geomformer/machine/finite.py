"""Whether numbers are finite, told quickly."""

from __future__ import annotations

import math

import numpy as np


def all_finite(values: np.ndarray) -> bool:
    """Whether no number of an array is NaN or infinite.

    A finite sum of squares says so in a microsecond; a sum that overflows says nothing.
    """
    return math.isfinite(sum_of_squares(values)) or bool(np.isfinite(values).all())


def sum_of_squares(values: np.ndarray) -> float:
    """The sum of the squares of all numbers; infinite, with NumPy's warning, beyond 1e308.

    Keeping the warning back would take longer than the sum.
    """
    flat = values.ravel()
    return float(flat.dot(flat))
