"""Norms of functions on the sphere that rotations leave unchanged."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from ase_geomformer.architectures.est.sphere.quadrature import SPHERE_AREA

NORM_EPS = 1e-5


def root_mean_square(coefficients: Tensor) -> Tensor:
    """Root mean square over sphere and channels of functions (N, (L+1)^2, ..., C): (N, ..., 1).

    Invariant under rotations, and smooth where the functions vanish.
    """
    squares = coefficients.square().sum(dim=1, keepdim=True).mean(dim=-1, keepdim=True)
    return torch.sqrt(squares / SPHERE_AREA + NORM_EPS)


class InvariantNorm(nn.Module):
    """Functions divided by their root mean square, times a weight per degree and channel.

    Unlike a LayerNorm at every point, it leaves band-limited functions band-limited.

    Parameters
    ----------
    lmax, channels : int
    """

    owner: Tensor

    def __init__(self, lmax: int, channels: int) -> None:
        super().__init__()
        sizes = torch.tensor([2 * l + 1 for l in range(lmax + 1)])
        owner = torch.repeat_interleave(torch.arange(lmax + 1), sizes)
        self.register_buffer("owner", owner, persistent=False)
        # Of three axes, as optimisers that orthogonalise matrices are to leave it alone.
        self.weight = nn.Parameter(torch.ones(lmax + 1, 1, channels))

    def forward(self, x: Tensor) -> Tensor:
        """Coefficients (N, (L+1)^2, C) to coefficients of the same shape."""
        return x / root_mean_square(x) * self.weight.index_select(0, self.owner).squeeze(1)

    def frozen(self) -> FrozenFunctionNorm:
        """The same with its gradient written out."""
        return FrozenFunctionNorm(self.weight.index_select(0, self.owner))


class FrozenFunctionNorm(NamedTuple):
    """Functions (M, N, C) by their root mean square, times a gain (M, 1, C)."""

    gain: Tensor

    def evaluate(self, values: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """The normalised functions; the values and the inverse root (N, 1) are kept."""
        number = SPHERE_AREA * values.shape[2]
        squares = (values * values).sum(dim=(0, 2)).div_(number)
        inverse = squares.add_(NORM_EPS).rsqrt_()[:, None]
        return (values * inverse).mul_(self.gain), (values, inverse)

    def gradient(self, kept: tuple[Tensor, Tensor], slope: Tensor) -> Tensor:
        """From slopes of the normalised functions to those of the functions."""
        values, inverse = kept
        by_unit = slope * self.gain
        along = (by_unit * values).sum(dim=(0, 2))[:, None]
        along *= inverse.pow(3).div_(-SPHERE_AREA * values.shape[2])
        return by_unit.mul_(inverse).addcmul_(values, along)
