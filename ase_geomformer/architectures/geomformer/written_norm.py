"""The norm of the equivariant stream without its gain, and its gradient written out."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

from ase_geomformer.architectures.geomformer.equivariant import EQUIVARIANT_NORM_EPS


class UnitStreams(NamedTuple):
    """Features (M, N, G, F) divided by one number for each atom and group of channels.

    Attributes
    ----------
    values : Tensor
        The normalised features.
    inverse : Tensor, shape (N, G, 1)
        One over the root of the mean over channels of the sum over components of squares.
    """

    values: Tensor
    inverse: Tensor

    @classmethod
    def of(cls, features: Tensor) -> UnitStreams:
        """Normalise features (M, N, G, F)."""
        squares = (features * features).sum(dim=(0, 3)).div_(features.shape[3])
        inverse = squares.add_(EQUIVARIANT_NORM_EPS).rsqrt_()[:, :, None]
        return cls(features * inverse, inverse)

    def gradient(self, slope: Tensor) -> Tensor:
        """From slopes of the normalised features to those of the features."""
        along = (slope * self.values).sum(dim=(0, 3))[:, :, None].div_(slope.shape[3])
        return (slope - self.values * along).mul_(self.inverse)
