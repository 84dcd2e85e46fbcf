"""The norm of steerable features with its gradient written out."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor


class NormKept(NamedTuple):
    """What the gradient of a norm needs."""

    values: Tensor
    inverse: Tensor  # of the root mean square, (N, 1, 1)


class FrozenNorm(NamedTuple):
    """x g / sqrt(sum of x^2 s + eps) of features x (N, M, C).

    Attributes
    ----------
    shares : Tensor, shape (M, 1)
        The factors s.
    gain : Tensor, shape (M, C)
        The factors g.
    eps : float
    """

    shares: Tensor
    gain: Tensor
    eps: float

    def evaluate(self, values: Tensor) -> tuple[Tensor, NormKept]:
        """The normalised features, and what :meth:`gradient` wants."""
        squares = (values * values).mul_(self.shares).sum(dim=(1, 2), keepdim=True)
        inverse = squares.add_(self.eps).rsqrt_()
        return (values * inverse).mul_(self.gain), NormKept(values, inverse)

    def gradient(self, kept: NormKept, slope: Tensor) -> Tensor:
        """From the slope (N, M, C) with respect to the result to that of the features."""
        by_unit = slope * self.gain
        along = (by_unit * kept.values).sum(dim=(1, 2), keepdim=True)
        along *= kept.inverse.pow(3).neg_()
        by_unit *= kept.inverse
        return by_unit.add_((kept.values * along).mul_(self.shares))
