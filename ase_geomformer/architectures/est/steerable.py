"""Networks that act degree by degree: linear maps, gated by invariants."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ase_geomformer.architectures.est.degree_linear import (
    DegreeInvariants,
    DegreeLinear,
    component_degrees,
)
from ase_geomformer.architectures.est.written_steerable import FrozenSteerable
from ase_geomformer.layers.dense import dense


class SteerableExpert(nn.Module):
    """One linear map per degree, a gate per degree and channel, one more linear map.

    The gates and the new scalars come from a network of scalars and of the scalar products of
    each degree with itself. Unlike the published expert, which applies a network on a grid of
    directions (An et al., arXiv 2505.23086), it is equivariant to rounding and keeps parity.

    Parameters
    ----------
    lmax, channels : int
    hidden : int
        Channels between the two maps.
    """

    owner: Tensor

    def __init__(self, lmax: int, channels: int, hidden: int) -> None:
        super().__init__()
        self.lmax, self.hidden = lmax, hidden
        self.first = DegreeLinear(lmax, channels, 2 * hidden)
        self.invariants = DegreeInvariants(lmax)
        self.mix = dense((lmax + 1) * hidden, hidden)
        self.gates = dense(hidden, lmax * hidden) if lmax else None
        self.last = DegreeLinear(lmax, hidden, channels)
        self.register_buffer("owner", component_degrees(lmax)[1:] - 1, persistent=False)

    def forward(self, features: Tensor) -> Tensor:
        """Features (N, (L+1)^2, C) to features of the same shape."""
        left, right = self.first(features).split(self.hidden, dim=-1)
        scalars = nn.functional.silu(self.mix(self.invariants(left, right)))
        values = scalars[:, None]
        if self.gates is not None:
            gates = self.gates(scalars).unflatten(-1, (self.lmax, -1))
            values = torch.cat([values, gates.index_select(1, self.owner) * left[:, 1:]], dim=1)
        return self.last(values)

    def frozen(self) -> FrozenSteerable:
        """The same with its gradient written out."""
        degree_sum = self.invariants.degree_sum
        return FrozenSteerable(
            first=self.first.by_component,
            first_bias=self.first.bias,
            contraction=None if degree_sum is None else degree_sum.contraction.T.contiguous(),
            mix=self.mix.weight.T.contiguous(),
            mix_bias=self.mix.bias,
            gate=None if self.gates is None else self.gates.weight.T.contiguous(),
            gate_bias=None if self.gates is None else self.gates.bias,
            last=self.last.by_component,
            last_bias=self.last.bias,
            degrees=[slice(l * l, (l + 1) ** 2) for l in range(1, self.lmax + 1)],
        )


class VectorHead(nn.Module):
    """One vector per atom (N, 3) in x, y, z: the vectors of all channels, weighed by invariants.

    Parameters
    ----------
    num_invariants, channels : int
    """

    def __init__(self, num_invariants: int, channels: int) -> None:
        super().__init__()
        self.weigh = dense(num_invariants, channels)
        self.final = dense(channels, 1, bias=False)

    def forward(self, features: Tensor, invariants: Tensor) -> Tensor:
        """Features (N, (L+1)^2, C) with L >= 1 and invariants (N, num_invariants)."""
        weighed = features[:, 1:4] * nn.functional.silu(self.weigh(invariants))[:, None]
        # Harmonics of degree one come in the order y, z, x.
        vectors: Tensor = self.final(weighed).squeeze(-1).roll(1, dims=-1)
        return vectors
