"""The graph attention of EST with its gradient written out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from ase_geomformer.architectures.est.written_norm import FrozenNorm, NormKept
from ase_geomformer.graph.segments import Segments
from ase_geomformer.layers.frozen import FrozenWeights
from ase_geomformer.layers.spline import SplinePoint, SplineTable
from ase_geomformer.layers.written_gradient import WrittenGradient


class FrozenSO2(NamedTuple):
    """The matrices of :class:`~.so2.SO2Linear`, one for each order.

    Attributes
    ----------
    zero : Tensor, shape (rows, columns)
        That of order zero, from the left.
    bias : Tensor, shape (columns,)
    orders : list of Tensor
        Of the orders 1, 2, ...: with parity for +m and -m alike, else for both together.
    """

    zero: Tensor
    bias: Tensor
    orders: list[Tensor]


class AttentionWeights(FrozenWeights):
    """Constants of :class:`WrittenAttention`.

    Attributes
    ----------
    norm : FrozenNorm
    ends : Tensor, shape (M, C, 2 W)
        Maps of senders and of receivers, component by component.
    sender_bias : Tensor, shape (W,)
    first, second : FrozenSO2
    logits : Tensor, shape (W, heads)
        From activated invariants to logits by their largest.
    members : Tensor, shape (heads, W)
    largest : float
        What logits are bounded by.
    out : Tensor, shape (M, W, C)
    out_bias : Tensor, shape (C,)
    """

    norm: FrozenNorm
    ends: Tensor
    sender_bias: Tensor
    first: FrozenSO2
    second: FrozenSO2
    logits: Tensor
    members: Tensor
    largest: float
    out: Tensor
    out_bias: Tensor


class Kept(NamedTuple):
    """What the gradient needs; features of edges are (E, rows, W) or (E, columns)."""

    norm: NormKept
    pair: Tensor
    filters: Tensor
    framed: Tensor
    mixed: Tensor  # logits, gates and components of order zero
    turned: list[Tensor]  # components of the orders above, (E, 2, columns)
    gates: Tensor
    values: Tensor
    tangent: Tensor
    exponentials: Tensor
    shares: Tensor
    total: Tensor
    weights: Tensor
    spread: Tensor
    message: Tensor


@dataclass(frozen=True, eq=False)
class WrittenAttention(WrittenGradient):
    """Features (N, M, C) with their update by neighbours, the norm before it included.

    Inputs are the features, the matrices (E, K, M) of frames, the envelope (E,), and the filters
    (E, F), or with a table the distances (E,).

    Attributes
    ----------
    plain : callable
        The formula.
    receivers, senders : Segments
    point : SplinePoint or None
        The places of the distances on the grid of ``table``.
    table : SplineTable or None
    packed : AttentionWeights
    sizes : sequence of int
        Degrees of the orders 0, 1, ...
    """

    plain: Callable[..., Tensor]
    receivers: Segments
    senders: Segments
    point: SplinePoint | None
    table: SplineTable | None
    packed: AttentionWeights
    sizes: Sequence[int]

    @property
    def weights(self) -> Sequence[Tensor]:
        return self.packed.origin

    def formula(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        return (self.plain(*inputs),)

    def evaluate(self, *inputs: Tensor) -> tuple[tuple[Tensor, ...], Kept]:
        features, frames, envelope, radial = inputs
        packed, width = self.packed, self.packed.members.shape[1]
        normal, of_norm = packed.norm.evaluate(features)
        pair = self._pairs(normal)
        framed = torch.bmm(frames, pair)
        filters = radial
        if self.point is not None and self.table is not None:
            filters = self.point.read(self.table.coefficients, 0)
        edges = framed.shape[0]
        filtered = [
            rows * own[:, None]
            for rows, own in zip(self._by_order(framed), self._by_filter(filters), strict=True)
        ]
        mixed = torch.addmm(packed.first.bias, filtered[0][:, 0], packed.first.zero)
        turned = self._turn(filtered[1:], packed.first.orders)
        kept = self.sizes[0] * width
        gates = torch.sigmoid(mixed[:, width:kept])
        gated = mixed.new_empty(edges, kept)
        scalars, others = mixed[:, kept : kept + width], mixed[:, kept + width :]
        torch.ops.aten.silu.out(scalars, out=gated[:, :width])
        torch.mul(others, gates, out=gated[:, width:])
        of_orders = [rows * gates[:, None, m * width :] for m, rows in enumerate(turned)]
        second = [torch.addmm(packed.second.bias, gated, packed.second.zero)]
        second += [rows.flatten(1) for rows in self._turn(of_orders, packed.second.orders)]
        values = torch.cat(second, dim=1).view(framed.shape)
        message = torch.bmm(frames.mT, values)
        invariants = mixed[:, :width]
        leaky = invariants.lerp(torch.nn.functional.silu(invariants), 0.8)
        tangent = torch.tanh(leaky @ packed.logits)
        exponentials = torch.exp(packed.largest * tangent)
        shares = exponentials * envelope[:, None]
        total = self.receivers.sum(shares).add_(1.0).index_select(0, self.receivers.index)
        weights = (shares * envelope[:, None]).div_(total)
        spread = weights @ packed.members
        received = self.receivers.sum((message * spread[:, None]).flatten(1))
        update = torch.bmm(received.view(-1, *message.shape[1:]).transpose(0, 1), packed.out)
        update[0] += packed.out_bias
        own = Kept(
            of_norm,
            pair,
            filters,
            framed,
            mixed,
            turned,
            gates,
            values,
            tangent,
            exponentials,
            shares,
            total,
            weights,
            spread,
            message,
        )
        return (features + update.transpose(0, 1),), own

    def gradient(
        self, inputs: tuple[Tensor, ...], kept: Kept, slopes: tuple[Tensor, ...]
    ) -> tuple[Tensor, ...]:
        _, frames, envelope, _ = inputs
        packed, (slope,) = self.packed, slopes
        by_received = torch.bmm(slope.transpose(0, 1), packed.out.mT).transpose(0, 1).flatten(1)
        on_edge = by_received.index_select(0, self.receivers.index).view(kept.message.shape)
        by_spread = (on_edge * kept.message).sum(dim=1)
        on_edge *= kept.spread[:, None]
        by_values = torch.bmm(frames, on_edge)
        by_frames = torch.bmm(kept.values, on_edge.mT)
        by_mixed = torch.empty_like(kept.mixed)
        by_envelope = self._weights_gradient(kept, envelope, by_spread, by_mixed)
        by_filtered = self._values_gradient(kept, by_values.flatten(1), by_mixed)
        by_framed, by_filter = torch.empty_like(kept.framed), []
        parts = zip(
            self._by_order(kept.framed),
            self._by_order(by_framed),
            self._by_filter(kept.filters),
            by_filtered,
            strict=True,
        )
        for rows, by_rows, own, by_own in parts:
            torch.mul(by_own, own[:, None], out=by_rows)
            by_filter.append((by_own * rows).sum(dim=1))
        by_radial = torch.cat(by_filter, dim=1)
        if self.point is not None and self.table is not None:
            by_radial *= self.point.read(self.table.coefficients, 1)
            by_radial = by_radial.sum(dim=1)
        by_pair = torch.bmm(frames.mT, by_framed)
        by_frames.baddbmm_(by_framed, kept.pair.mT)
        by_normal = self._pairs_gradient(by_pair.flatten(1), frames.shape[2])
        by_features = packed.norm.gradient(kept.norm, by_normal).add_(slope)
        return by_features, by_frames, by_envelope, by_radial

    def _pairs(self, normal: Tensor) -> Tensor:
        """What both ends of edges send together: (E, M, W)."""
        tables = torch.bmm(normal.transpose(0, 1), self.packed.ends)
        components, atoms = tables.shape[:2]
        both = tables.view(components, atoms, 2, -1).permute(2, 1, 0, 3).flatten(2)
        sent, received = both
        sent[:, : self.packed.sender_bias.shape[0]] += self.packed.sender_bias
        pair = sent.index_select(0, self.senders.index)
        pair += received.index_select(0, self.receivers.index)
        return pair.view(pair.shape[0], components, -1)

    def _pairs_gradient(self, by_pair: Tensor, components: int) -> Tensor:
        """From slopes (E, M W) to those (N, M, C) of normalised features."""
        by_ends = torch.stack([self.senders.sum(by_pair), self.receivers.sum(by_pair)])
        by_tables = by_ends.unflatten(2, (components, -1)).permute(2, 1, 0, 3).flatten(2)
        return torch.bmm(by_tables, self.packed.ends.mT).transpose(0, 1)

    def _by_order(self, rows: Tensor) -> list[Tensor]:
        """Rows (E, K, W) of frames to views (E, 1 or 2, columns) by order."""
        counts = [n * (2 if m else 1) for m, n in enumerate(self.sizes)]
        return [
            part.view(part.shape[0], 2 if m else 1, -1)
            for m, part in enumerate(rows.split(counts, dim=1))
        ]

    def _by_filter(self, filters: Tensor) -> tuple[Tensor, ...]:
        """Filters (E, F) by order."""
        width = self.packed.members.shape[1]
        return filters.split([n * width for n in self.sizes], dim=1)

    @staticmethod
    def _turn(parts: Sequence[Tensor], matrices: Sequence[Tensor]) -> list[Tensor]:
        """Products with the matrices of the orders 1, 2, ...; both are (E, 2, columns)."""
        return [
            (part.reshape(-1, matrix.shape[0]) @ matrix).view(part.shape[0], 2, -1)
            for part, matrix in zip(parts, matrices, strict=True)
        ]

    def _weights_gradient(
        self, kept: Kept, envelope: Tensor, by_spread: Tensor, by_mixed: Tensor
    ) -> Tensor:
        """That of the envelope; ``by_mixed`` gets that of the invariants of logits."""
        packed = self.packed
        width = packed.members.shape[1]
        by_weights = by_spread @ packed.members.T
        by_quotient = by_weights / kept.total
        by_total = self.receivers.sum((by_quotient * kept.weights).neg_())
        by_shares = by_total.index_select(0, self.receivers.index)
        by_shares.addcmul_(by_quotient, envelope[:, None])
        by_envelope = (by_quotient * kept.shares).addcmul_(by_shares, kept.exponentials).sum(dim=1)
        by_logits = torch.ops.aten.tanh_backward(by_shares.mul_(kept.shares), kept.tangent)
        by_leaky = (by_logits @ packed.logits.T).mul_(packed.largest)
        through = torch.ops.aten.silu_backward(by_leaky, kept.mixed[:, :width])
        torch.lerp(by_leaky, through, 0.8, out=by_mixed[:, :width])
        return by_envelope

    def _values_gradient(self, kept: Kept, by_values: Tensor, by_mixed: Tensor) -> list[Tensor]:
        """Those of what was filtered, by order; ``by_mixed`` gets those of order zero."""
        packed = self.packed
        width, size = packed.members.shape[1], self.sizes[0] * packed.members.shape[1]
        widths = [n * packed.members.shape[1] * (2 if m else 1) for m, n in enumerate(self.sizes)]
        of_zero, *of_orders = by_values.split(widths, dim=1)
        by_gated = of_zero @ packed.second.zero.T
        scalars, others = kept.mixed[:, size : size + width], kept.mixed[:, size + width :]
        by_mixed[:, size : size + width] = torch.ops.aten.silu_backward(
            by_gated[:, :width], scalars
        )
        torch.mul(by_gated[:, width:], kept.gates, out=by_mixed[:, size + width :])
        by_gates = by_gated[:, width:] * others
        pairs = [part.view(part.shape[0], 2, -1) for part in of_orders]
        by_pairs = self._turn(pairs, [matrix.T for matrix in packed.second.orders])
        for m, (by_pair, rows) in enumerate(zip(by_pairs, kept.turned, strict=True)):
            by_gates[:, m * width :] += (by_pair * rows).sum(dim=1)
            by_pair *= kept.gates[:, None, m * width :]
        by_mixed[:, width:size] = torch.ops.aten.sigmoid_backward(by_gates, kept.gates)
        by_first = [(by_mixed @ packed.first.zero.T)[:, None]]
        return by_first + self._turn(by_pairs, [matrix.T for matrix in packed.first.orders])
