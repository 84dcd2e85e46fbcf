"""Points and weights that stand for an integral over the sphere."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SPHERE_AREA = 4.0 * math.pi


@dataclass(frozen=True)
class PointSet:
    """Points of the sphere and their quadrature weights.

    Attributes
    ----------
    points
        Unit vectors (S, 3).
    weights
        Positive weights (S,) that sum to 4 pi.
    degree
        Highest degree of the polynomials that are integrated exactly; 0 for lattices.
    """

    points: NDArray[np.float64]
    weights: NDArray[np.float64]
    degree: int

    @property
    def num_points(self) -> int:
        return len(self.points)

    @classmethod
    def equally_weighted(cls, points: NDArray[np.float64], degree: int) -> PointSet:
        """Points that all have the weight 4 pi / S."""
        return cls(points, np.full(len(points), SPHERE_AREA / len(points)), degree)
