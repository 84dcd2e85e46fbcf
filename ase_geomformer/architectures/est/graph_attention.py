"""Attention between neighbours whose values are SO(2) convolutions, built for a potential.

Liao, Wood, Das, Smidt, "EquiformerV2" (ICLR 2024), which EST takes its messages from. Four things
differ from it. Activations are gates instead of networks on a grid of directions, so that
symmetry holds to rounding. Logits are bounded instead of normalised. The frames carry gradients,
which conservative forces need. And a neighbour fades in and out: the envelope is inside the
softmax, where it keeps the sum over neighbours continuous, and outside.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import torch
from torch import Tensor, nn

from ase_geomformer.architectures.est.degree_linear import (
    DegreeLinear,
    SteerableNorm,
    component_degrees,
)
from ase_geomformer.architectures.est.edge_frame import (
    FramedEdges,
    divided,
    from_frames,
    to_frames,
)
from ase_geomformer.architectures.est.filters import RadialNetwork
from ase_geomformer.architectures.est.packing import attention_weights
from ase_geomformer.architectures.est.so2 import SO2Linear
from ase_geomformer.architectures.est.written_attention import AttentionWeights, WrittenAttention
from ase_geomformer.layers.dense import dense
from ase_geomformer.layers.edges import Edges
from ase_geomformer.layers.frozen import FrozenModule
from ase_geomformer.layers.heads import head_spread, head_sum
from ase_geomformer.layers.spline import SplinePoint

LARGEST_LOGIT = 5.0


class GraphAttention(FrozenModule[AttentionWeights]):
    """Update of steerable features by attention over neighbours; see the module.

    Parameters
    ----------
    lmax, mmax : int
        Highest degree L of the features; highest order |m| of the convolutions.
    channels, width : int
        Channels C of the features, and of the convolutions.
    heads : int
        Attention heads, which share the ``width`` channels of the values.
    num_radial_basis, radial_width : int
        Width of the radial basis; hidden width of the filters.
    parity : bool
        Whether the convolutions keep parity, see :class:`SO2Linear`.
    """

    truncation: Tensor

    def __init__(
        self,
        lmax: int,
        mmax: int,
        channels: int,
        width: int,
        heads: int,
        *,
        num_radial_basis: int,
        radial_width: int,
        parity: bool = True,
    ) -> None:
        super().__init__()
        self.lmax, self.heads, self.width = lmax, heads, width
        self.sizes = [lmax - m + 1 for m in range(mmax + 1)]
        self.sender = DegreeLinear(lmax, channels, width)
        self.receiver = DegreeLinear(lmax, channels, width, bias=False)
        self.filters = RadialNetwork(num_radial_basis, radial_width, sum(self.sizes) * width)
        self.parts = [width, lmax * width]
        self.first = SO2Linear(lmax, mmax, width, width, extra=sum(self.parts), parity=parity)
        self.second = SO2Linear(lmax, mmax, width, width, parity=parity)
        self.logit = nn.Parameter(dense(width // heads, heads).weight.detach().clone())
        self.out = DegreeLinear(lmax, width, channels)
        owner = component_degrees(lmax)
        # Makes up for the components that frames leave out of the degrees above mmax.
        lost = torch.sqrt((2.0 * owner + 1.0).clamp(min=2.0 * mmax + 1.0) / (2.0 * mmax + 1.0))
        self.register_buffer("truncation", lost.double()[:, None], persistent=False)

    def added(self, features: Tensor, norm: SteerableNorm, edges: Edges) -> Tensor:
        """Features (N, (L+1)^2, C) with their update, which reads them normalised."""
        assert isinstance(edges, FramedEdges)
        frames = edges.rotations
        if not self.is_frozen or not isinstance(frames, Tensor):
            return features + self(norm(features), edges)
        point, radial = self.filters.written_input(edges.radial)
        written = WrittenAttention(
            plain=partial(self._plain, norm=norm, edges=edges),
            receivers=edges.receivers,
            senders=edges.senders,
            point=point,
            table=self.filters.table,
            packed=self.packed(norm),
            sizes=self.sizes,
        )
        (added,) = written(features, frames, edges.envelope, radial)
        return added

    def _plain(
        self,
        features: Tensor,
        frames: Tensor,
        envelope: Tensor,
        radial: Tensor,
        *,
        norm: SteerableNorm,
        edges: FramedEdges,
    ) -> Tensor:
        if isinstance(edges.radial, SplinePoint):
            radial = self.filters(replace(edges.radial, distances=radial))
        edges = replace(edges, rotations=frames, envelope=envelope)
        return features + self._update(norm(features), edges, radial)

    @property
    def first_weight(self) -> Tensor:
        return self.sender.weight

    def pack(self, *others: nn.Module) -> AttentionWeights:
        return attention_weights(self, *others, largest=LARGEST_LOGIT)

    def forward(self, features: Tensor, edges: FramedEdges) -> Tensor:
        """Features (N, (L+1)^2, C) to their update, of the same shape."""
        return self._update(features, edges, self.filters(edges.radial))

    def _update(self, features: Tensor, edges: FramedEdges, radial: Tensor) -> Tensor:
        rotations = edges.rotations
        if isinstance(rotations, Tensor):
            rotations = divided(rotations, self.lmax, len(self.sizes) - 1)
        pair = edges.senders.gather(self.sender(features))
        pair = pair + edges.receivers.gather(self.receiver(features))
        framed = to_frames(pair, rotations)
        # One filter for each degree and |m|, one gate for each degree but the scalars'.
        filters = radial.unflatten(-1, (1, -1, self.width))
        filters = filters.split(self.sizes, dim=2)
        hidden, invariants = self.first([x * f for x, f in zip(framed, filters, strict=True)])
        for_logits, for_gates = invariants.split(self.parts, dim=-1)
        gates = torch.sigmoid(for_gates).unflatten(-1, (1, -1, self.width))
        first, *pairs = hidden
        scalars, others = first.split([1, self.sizes[0] - 1], dim=2)
        gated = [torch.cat([nn.functional.silu(scalars), gates * others], dim=2)]
        # Degrees of order m start at m, and gates at degree one.
        gated += [gates[:, :, m:] * pair for m, pair in enumerate(pairs)]
        values, _ = self.second(gated)
        weights = head_spread(self.weights(for_logits, edges), self.width)
        message = from_frames(values, rotations) * weights[:, None]
        return self.out(self.truncation * edges.receivers.sum(message))

    def weights(self, invariants: Tensor, edges: FramedEdges) -> Tensor:
        """Weights (E, heads) of the neighbours: u^2 exp(a) / (1 + sum of u exp(a)).

        The one stands for an atom of no logit that is always there; with it, weights fade with
        the square of the envelope u even when the last neighbour leaves. Logits a are bounded
        smoothly, so that exponentials need no shift, which could not be smooth.
        """
        logits = head_sum(_smooth_leaky_relu(invariants) * self.logit.flatten(), self.heads)
        bounded = LARGEST_LOGIT * torch.tanh(logits / LARGEST_LOGIT)
        envelope = edges.envelope[:, None]
        shares = envelope * torch.exp(bounded)
        total = 1.0 + edges.receivers.sum(shares)
        return envelope * shares / edges.receivers.gather(total)


def _smooth_leaky_relu(values: Tensor, slope: float = 0.2) -> Tensor:
    """Between ``slope`` x for negative and x for positive numbers, without a kink."""
    return values * (slope + (1.0 - slope) * torch.sigmoid(values))
