"""Spherical Fourier transform: coefficients of functions on the sphere to their values and back.

Normalisation, for everything in this folder: the harmonics are e3nn's with
``normalization="integral"``, that is orthonormal, integral of Y^2 over the sphere = 1. A function
f = sum_lm x_lm Y_lm has the mean square sum_lm x_lm^2 / (4 pi) over the sphere, and the constant
c the coefficients x_00 = c sqrt(4 pi), x_lm = 0.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ase_geomformer.architectures.est.sphere.quadrature import PointSet
from ase_geomformer.layers.harmonics import SphericalHarmonics


def real_harmonics(lmax: int, points: NDArray[np.float64]) -> Tensor:
    """Orthonormal real spherical harmonics (S, (L+1)^2) of unit vectors (S, 3), in e3nn's order."""
    # A copy where torch aligns it: the last bits of products depend on where a table begins.
    directions = torch.tensor(points)
    # e3nn orders the axes (y, z, x) where SphericalHarmonics reads (x, y, z).
    return SphericalHarmonics(range(lmax + 1))(directions[:, [2, 0, 1]])


class SphericalFourier(nn.Module):
    """Transform between coefficients (N, (L+1)^2, C) and values at points (N, S, C).

    The tables are constants: they are not saved, so that a model trained with one point set can
    be evaluated with a finer one.

    Parameters
    ----------
    lmax : int
        Highest degree L.
    points : PointSet
        The way back is exact if its degree is 2 L or more.
    published : bool
        The transform of the released code of EST instead: values are sum_lm x_lm A_lm with
        A_lm(p) = Y_lm(p) / (sum_s Y_lm(p_s)^2)^(1/2), and the way back is the transpose, which
        leaks between coefficients.
    """

    to_points: Tensor
    from_points: Tensor

    def __init__(self, lmax: int, points: PointSet, *, published: bool = False) -> None:
        super().__init__()
        harmonics = real_harmonics(lmax, points.points)
        weights = torch.tensor(points.weights)
        if published:
            harmonics = harmonics / harmonics.norm(dim=0)
            weights = torch.ones_like(weights)
        self.register_buffer("to_points", harmonics, persistent=False)
        self.register_buffer("from_points", harmonics.T * weights, persistent=False)

    def values(self, coefficients: Tensor) -> Tensor:
        """Coefficients (N, (L+1)^2, C) to values (N, S, C)."""
        return torch.matmul(self.to_points, coefficients)

    def coefficients(self, values: Tensor) -> Tensor:
        """Values (N, S, C) to the coefficients (N, (L+1)^2, C) of their projection on l <= L."""
        return torch.matmul(self.from_points, values)
