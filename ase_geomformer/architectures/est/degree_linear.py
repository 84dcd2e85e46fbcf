"""Linear maps and norms of steerable features: (N, (L+1)^2, C), degrees 0 .. L, all C wide.

The component axis is ordered by degree, then m = -l .. l, as :class:`SphericalHarmonics` has it.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from ase_geomformer.architectures.est.written_norm import FrozenNorm
from ase_geomformer.layers.dense import lecun_normal_
from ase_geomformer.layers.harmonics import DegreeSum


def component_degrees(lmax: int) -> Tensor:
    """Degree of each of the (lmax+1)^2 components."""
    degrees = torch.arange(lmax + 1)
    return torch.repeat_interleave(degrees, 2 * degrees + 1)


def by_degree(features: Tensor) -> tuple[Tensor, ...]:
    """Features (N, (L+1)^2, C) to blocks (N, 2l+1, C) of the degrees l = 0 .. L."""
    lmax = math.isqrt(features.shape[1]) - 1
    return features.split([2 * l + 1 for l in range(lmax + 1)], dim=1)


class DegreeLinear(nn.Module):
    """One matrix per degree, common to its 2l+1 components, and a bias on degree zero.

    By Schur's lemma this is all an equivariant linear map can be.

    Parameters
    ----------
    lmax : int
        Highest degree L.
    in_channels, out_channels : int
    bias : bool
        Whether to add a trainable vector to degree zero, zero at the start.
    """

    owner: Tensor

    def __init__(
        self, lmax: int, in_channels: int, out_channels: int, *, bias: bool = True
    ) -> None:
        super().__init__()
        weight = torch.empty(lmax + 1, in_channels, out_channels)
        self.weight = nn.Parameter(lecun_normal_(weight, in_channels))
        self.bias = nn.Parameter(torch.zeros(out_channels)) if bias else None
        self.register_buffer("owner", component_degrees(lmax), persistent=False)

    @property
    def by_component(self) -> Tensor:
        """The matrix of each component: ((L+1)^2, in_channels, out_channels)."""
        return self.weight.index_select(0, self.owner)

    def forward(self, features: Tensor) -> Tensor:
        """Features (N, (L+1)^2, in_channels) to (N, (L+1)^2, out_channels)."""
        values = torch.bmm(features.transpose(0, 1), self.by_component).transpose(0, 1)
        if self.bias is None:
            return values
        return torch.cat([values[:, :1] + self.bias, values[:, 1:]], dim=1)


class SteerableNorm(nn.Module):
    """All degrees divided by one root mean square per atom, then one weight per (degree, channel).

    The mean square counts degrees alike, sum_l |x_l|^2 / (2l+1). Scalars are part of it: they do
    not vanish where symmetry makes the higher degrees vanish, so that nothing is amplified there
    and as the last neighbour leaves.

    Parameters
    ----------
    lmax, channels : int
    eps : float
        Added to the mean square.
    """

    shares: Tensor
    owner: Tensor

    def __init__(self, lmax: int, channels: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.eps = eps
        # Of three axes, as optimisers that orthogonalise matrices are to leave it alone.
        self.weight = nn.Parameter(torch.ones(lmax + 1, 1, channels))
        owner = component_degrees(lmax)
        shares = 1.0 / ((lmax + 1) * (2.0 * owner.double() + 1.0) * channels)
        self.register_buffer("owner", owner, persistent=False)
        self.register_buffer("shares", shares[:, None], persistent=False)

    def forward(self, features: Tensor) -> Tensor:
        """Features (N, (L+1)^2, C) to features of the same shape."""
        mean_square = (features * features * self.shares).sum(dim=(1, 2), keepdim=True)
        return features * torch.rsqrt(mean_square + self.eps) * self.by_component

    @property
    def by_component(self) -> Tensor:
        """The weights of each component: ((L+1)^2, C)."""
        return self.weight.index_select(0, self.owner).squeeze(1)

    def frozen(self) -> FrozenNorm:
        """The same with its gradient written out."""
        return FrozenNorm(self.shares, self.by_component, self.eps)


class DegreeInvariants(nn.Module):
    """Scalars and the invariants (2l+1)^(-1/2) sum_m x_lm y_lm of each degree l >= 1.

    Parameters
    ----------
    lmax : int
    """

    def __init__(self, lmax: int) -> None:
        super().__init__()
        self.degree_sum = DegreeSum(range(1, lmax + 1)) if lmax else None

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        """Two features (N, (L+1)^2, C) to (N, (L+1) C): the scalars of the first come first."""
        if self.degree_sum is None:
            return first[:, 0]
        products = (first * second)[:, 1:]
        contracted = torch.einsum("nmc,ml->nlc", products, self.degree_sum.contraction)
        return torch.cat([first[:, 0], contracted.flatten(1)], dim=1)
