"""The attention modules of GeoMFormer with their gradient written out.

For blocks in which x and e attend to themselves and to each other, and for the last one, in which
only x does. Where few atoms are near to many of the others, most of the work is done by products
of matrices between all pairs of atoms, one for each head or channel; rows of edges, as wide as both
streams, are not made. Channels come first and atoms last.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from ase_geomformer.architectures.geomformer.written_messages import (
    Channels,
    FrozenMessages,
    OnPairs,
    Pairs,
)
from ase_geomformer.architectures.geomformer.written_norm import UnitStreams
from ase_geomformer.architectures.geomformer.written_projections import FrozenProjections, Projected
from ase_geomformer.graph.segments import Segments
from ase_geomformer.layers.edge_attention import FEW_EDGES
from ase_geomformer.layers.edges import slots_of
from ase_geomformer.layers.frozen import FrozenWeights
from ase_geomformer.layers.unit_norm import UnitNorm
from ase_geomformer.layers.written_gradient import WrittenGradient

# Pairs of atoms for each edge up to which products over all pairs take less time than edges do.
PAIRS_PER_EDGE = 6


def is_dense(receivers: Segments) -> bool:
    """Whether edges, by their receivers, are few and most atoms near to many of the others."""
    edges, atoms = receivers.index.shape[0], receivers.number
    return (
        edges <= FEW_EDGES and atoms * atoms <= PAIRS_PER_EDGE * edges and bool(slots_of(receivers))
    )


class AttentionWeights(FrozenWeights):
    """Constants of :class:`WrittenAttention`.

    Attributes
    ----------
    projections : FrozenProjections
    messages : FrozenMessages
    inner_eps : float
        Of the norm of what attention gives to x.
    out_x, out_x_bias, out_e : Tensor
        From what attention gives, normalised, to the updates: (2 F, F), (F,) and (M, 2 F, F).
    """

    projections: FrozenProjections
    messages: FrozenMessages
    inner_eps: float
    out_x: Tensor
    out_x_bias: Tensor
    out_e: Tensor | None


class Kept(NamedTuple):
    """What the gradient needs."""

    projected: Projected
    pairs: Pairs
    messages: OnPairs
    inner: UnitNorm
    inner_e: UnitStreams | None


@dataclass(frozen=True, eq=False)
class WrittenAttention(WrittenGradient):
    """Streams x (N, F) and e (N, M, F) with what attention adds to them.

    Inputs are both streams, the envelope (E,), harmonics (E, M) and the radial basis (E, K).

    Attributes
    ----------
    plain : callable
        The formula.
    receivers, senders : Segments
        The receivers with ``slots``.
    packed : AttentionWeights
    """

    plain: Callable[..., tuple[Tensor, Tensor]]
    receivers: Segments
    senders: Segments
    packed: AttentionWeights

    @property
    def weights(self) -> Sequence[Tensor]:
        return self.packed.origin

    def formula(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        return self.plain(*inputs)

    def evaluate(self, *inputs: Tensor) -> tuple[tuple[Tensor, ...], Kept]:
        x, e, envelope, harmonics, radial = inputs
        packed, width = self.packed, x.shape[1]
        rows = e.transpose(0, 1).contiguous()
        projected = packed.projections.evaluate(x, rows)
        query, sent = projected.query, projected.sent
        size = query.shape[1]
        pairs = Pairs.of(self.receivers, self.senders)
        given, messages = packed.messages.evaluate(
            pairs,
            Channels.of(query, width),
            Channels.of(sent[:, :size], width),
            Channels.of(sent[:, size : 2 * size], width),
            sent[:, 2 * size :],
            (envelope, harmonics, radial),
        )
        inner, inner_e = UnitNorm.of(given.rows_x.view(-1, 2, width), packed.inner_eps), None
        changed = torch.addmm(packed.out_x_bias, inner.values.flatten(1), packed.out_x).add_(x)
        if packed.out_e is not None and given.e is not None:
            of_e = given.e.view(2, width, *given.e.shape[1:]).permute(2, 3, 0, 1)
            inner_e = UnitStreams.of(of_e.contiguous())
            rows = torch.baddbmm(rows, inner_e.values.flatten(2), packed.out_e)
        return (changed, rows.transpose(0, 1)), Kept(projected, pairs, messages, inner, inner_e)

    def gradient(
        self, inputs: tuple[Tensor, ...], kept: Kept, slopes: tuple[Tensor, ...]
    ) -> tuple[Tensor, ...]:
        _, _, envelope, harmonics, _ = inputs
        packed, (slope, slope_e) = self.packed, slopes
        by_inner = kept.inner.gradient((slope @ packed.out_x.T).view(kept.inner.values.shape))
        by_given = Channels(by_inner.flatten(1).T.contiguous(), None)
        rows = slope_e.transpose(0, 1).contiguous()
        if packed.out_e is not None and kept.inner_e is not None:
            by_norm = torch.bmm(rows, packed.out_e.mT).view(kept.inner_e.values.shape)
            of_e = kept.inner_e.gradient(by_norm).permute(2, 3, 0, 1).flatten(0, 1)
            by_given = Channels(by_given.x, of_e)
        by_atoms, by_source, by_edges = packed.messages.gradient(
            kept.pairs, kept.messages, by_given, (envelope, harmonics)
        )
        by_query, *by_sent = (part.rows for part in by_atoms)
        by_x, by_rows = packed.projections.gradient(
            kept.projected, by_query, torch.cat([*by_sent, by_source], dim=1)
        )
        by_envelope, by_harmonics, by_radial = by_edges
        by_e = by_rows.add_(rows).transpose(0, 1)
        return by_x.add_(slope), by_e, by_envelope, by_harmonics, by_radial
