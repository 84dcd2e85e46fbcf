"""Linear maps and norms of features that turn with the structure.

An equivariant stream e (N, M, F) holds F channels; each has the M = sum of 2l+1 components of some
degrees l. Rotations mix components, so maps act on channels only, without a bias but on degree 0.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from ase_geomformer.layers.dense import lecun_normal_

EQUIVARIANT_NORM_EPS = 1e-10


class StackedLinear(nn.Module):
    """Several linear maps of the same input, held as a stack of matrices and done as one product.

    Parameters
    ----------
    num_in, num_out, num_maps : int
    bias : bool
        Whether to add a trainable vector, zero at the start.
    """

    def __init__(self, num_in: int, num_out: int, num_maps: int, *, bias: bool = False) -> None:
        super().__init__()
        self.num_out = num_out
        weight = torch.empty(num_maps, num_out, num_in)
        self.weight = nn.Parameter(lecun_normal_(weight, num_in))
        self.bias = nn.Parameter(torch.zeros(num_maps * num_out)) if bias else None

    def forward(self, values: Tensor) -> tuple[Tensor, ...]:
        """(..., F) to ``num_maps`` of (..., num_out)."""
        mapped = functional.linear(values, self.weight.flatten(0, 1), self.bias)
        return mapped.split(self.num_out, dim=-1)


class DegreeLinear(nn.Module):
    """Several linear maps of an equivariant stream, with matrices of their own for each degree.

    Parameters
    ----------
    num_in, num_out, num_maps : int
    degrees : sequence of int
        Degrees in the order in which their components are stored.
    """

    def __init__(self, num_in: int, num_out: int, num_maps: int, degrees: Sequence[int]) -> None:
        super().__init__()
        self.sizes = [2 * l + 1 for l in degrees]
        self.maps = nn.ModuleList([StackedLinear(num_in, num_out, num_maps) for _ in degrees])

    def forward(self, values: Tensor) -> tuple[Tensor, ...]:
        """(N, M, F) to ``num_maps`` of (N, M, num_out)."""
        rows = values.split(self.sizes, dim=1)
        mapped = [apply(part) for apply, part in zip(self.maps, rows, strict=True)]
        return tuple(torch.cat(parts, dim=1) for parts in zip(*mapped, strict=True))


class EquivariantNorm(nn.Module):
    """e g / sqrt(mean over channels of the sum over all components of e^2), g by channel.

    One number for all components and channels of an atom. It is smooth wherever any of them is not
    zero, which a scalar component can make sure of; a norm of vectors alone is singular where
    symmetry cancels them.
    """

    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(num_features))

    def forward(self, values: Tensor) -> Tensor:
        """(N, M, F) to (N, M, F)."""
        squares = (values * values).sum(dim=(-2, -1), keepdim=True) / values.shape[-1]
        return values * self.gain * torch.rsqrt(squares + EQUIVARIANT_NORM_EPS)
