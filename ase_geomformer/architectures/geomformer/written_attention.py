"""The attention modules of GeoMFormer with their gradient written out.

For blocks in which x and e attend to themselves and to each other, and for the last one, in which
only x does. The two modules that update x are computed side by side, and so are those that update
e: rows of atoms and edges hold the channels of the former, and then, component by component, the
channels of the latter.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from ase_geomformer.architectures.geomformer.written_norm import UnitStreams
from ase_geomformer.architectures.geomformer.written_projections import FrozenProjections, Projected
from ase_geomformer.graph.segments import Segments
from ase_geomformer.layers.frozen import FrozenWeights
from ase_geomformer.layers.unit_norm import UnitNorm
from ase_geomformer.layers.written_gradient import WrittenGradient


class AttentionWeights(FrozenWeights):
    """Constants of :class:`WrittenAttention`, for G modules of H heads.

    Attributes
    ----------
    projections : FrozenProjections
    radial, radial_bias : Tensor
        From the radial basis to filters of values (G F), of directions (F or none), and to biases
        by distance (G H), divided by their bound.
    members : Tensor, shape (G F, G H)
        Sums over the channels of each head, scaled as logits are and divided by their bound.
    spread : Tensor, shape (G H, G F)
        Copies to the channels of each head.
    own_bias : Tensor, shape (G H,)
        Of an atom with itself, divided by the bound and bounded.
    bound : float
    inner_eps : float
        Of the norm of what attention gives to x.
    out_x, out_x_bias, out_e : Tensor
        From what attention gives, normalised, to the updates: (2 F, F), (F,) and (M, 2 F, F).
    """

    projections: FrozenProjections
    radial: Tensor
    radial_bias: Tensor
    members: Tensor
    spread: Tensor
    own_bias: Tensor
    bound: float
    inner_eps: float
    out_x: Tensor
    out_x_bias: Tensor
    out_e: Tensor | None


class OnEdges(NamedTuple):
    """What the gradient needs of the edges."""

    query: Tensor
    sent: Tensor
    of_radial: Tensor
    tangents: Tensor
    biases: Tensor
    exponentials: Tensor
    weights: Tensor
    spread: Tensor
    factors: Tensor
    directed: Tensor | None


class Kept(NamedTuple):
    """What the gradient needs."""

    projected: Projected
    edges: OnEdges
    total: Tensor
    own_tangents: Tensor
    own: Tensor
    inverse: Tensor
    factors: tuple[Tensor, Tensor]
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
        message, on_edge = self._messages(query, sent, envelope, harmonics, radial)
        received = self.receivers.sum(message)
        total = received[:, :size]
        own_tangents = torch.tanh(self._collapsed(query * sent[:, :size]) @ packed.members)
        own = torch.exp((own_tangents + packed.own_bias).mul_(packed.bound))
        inverse = (received[:, size:] + own).reciprocal_()
        factors = inverse @ packed.spread, (own * inverse) @ packed.spread
        given = self._weighed(total, factors[0])
        given += self._weighed(sent[:, size : 2 * size], factors[1])
        of_x = given[:, : 2 * width].unflatten(1, (2, width))
        inner, inner_e = UnitNorm.of(of_x, packed.inner_eps), None
        changed = torch.addmm(packed.out_x_bias, inner.values.flatten(1), packed.out_x).add_(x)
        if packed.out_e is not None:
            of_e = given[:, 2 * width :].view(len(given), -1, 2, width)
            inner_e = UnitStreams.of(of_e.transpose(0, 1).contiguous())
            rows = torch.baddbmm(rows, inner_e.values.flatten(2), packed.out_e)
        kept = Kept(projected, on_edge, total, own_tangents, own, inverse, factors, inner, inner_e)
        return (changed, rows.transpose(0, 1)), kept

    def gradient(
        self, inputs: tuple[Tensor, ...], kept: Kept, slopes: tuple[Tensor, ...]
    ) -> tuple[Tensor, ...]:
        _, _, envelope, harmonics, _ = inputs
        packed, (slope, slope_e) = self.packed, slopes
        query, sent = kept.projected.query, kept.projected.sent
        size = query.shape[1]
        by_inner = kept.inner.gradient((slope @ packed.out_x.T).view(kept.inner.values.shape))
        by_given = by_inner.flatten(1)
        rows = slope_e.transpose(0, 1).contiguous()
        if packed.out_e is not None and kept.inner_e is not None:
            by_norm = torch.bmm(rows, packed.out_e.mT).view(kept.inner_e.values.shape)
            of_e = kept.inner_e.gradient(by_norm).transpose(0, 1).flatten(1)
            by_given = torch.cat([by_given, of_e], dim=1)
        value = sent[:, size : 2 * size]
        by_share = self._collapsed(by_given * value) @ packed.spread.T
        by_inverse = self._collapsed(by_given * kept.total) @ packed.spread.T
        by_inverse.addcmul_(by_share, kept.own)
        by_denominator = by_inverse.mul_(kept.inverse).mul_(kept.inverse).neg_()
        by_exponent = by_denominator.addcmul(by_share, kept.inverse).mul_(kept.own)
        by_own = torch.ops.aten.tanh_backward(by_exponent.mul_(packed.bound), kept.own_tangents)
        by_received = torch.cat([self._weighed(by_given, kept.factors[0]), by_denominator], dim=1)
        on_edge = by_received.index_select(0, self.receivers.index)
        by_query, by_sent, by_radial, by_envelope, by_harmonics = self._edges_gradient(
            kept.edges, envelope, harmonics, on_edge
        )
        by_product = by_own @ packed.members.T
        by_query += self._weighed(sent[:, :size], by_product)
        by_sent[:, :size] += self._weighed(query, by_product)
        by_sent[:, size : 2 * size] += self._weighed(by_given, kept.factors[1])
        by_x, by_rows = packed.projections.gradient(kept.projected, by_query, by_sent)
        by_e = by_rows.add_(rows).transpose(0, 1)
        return by_x.add_(slope), by_e, by_envelope, by_harmonics, by_radial

    def _messages(
        self, query: Tensor, sent: Tensor, envelope: Tensor, harmonics: Tensor, radial: Tensor
    ) -> tuple[Tensor, OnEdges]:
        """What is sent along edges, and its weights (E, size + G H); what the gradient needs."""
        packed, size = self.packed, query.shape[1]
        groups, channels = packed.spread.shape
        query = query.index_select(0, self.receivers.index)
        sent = sent.index_select(0, self.senders.index)
        of_radial = torch.addmm(packed.radial_bias, radial, packed.radial)
        products = query * sent[:, :size]
        tangents = torch.tanh(self._collapsed(products) @ packed.members)
        biases = torch.tanh(of_radial[:, -groups:])
        exponentials = torch.exp((tangents + biases).mul_(packed.bound))
        mask = envelope[:, None]
        weights = exponentials * mask
        spread = (weights * mask) @ packed.spread
        factors = spread * of_radial[:, :channels]
        message = products.new_empty(len(products), size + groups)
        self._weighed(sent[:, size : 2 * size], factors, out=message[:, :size])
        message[:, size:] = weights
        directed = None
        if sent.shape[1] > 2 * size:
            width = sent.shape[1] - 2 * size
            directed = sent[:, 2 * size :] * of_radial[:, channels : channels + width]
            weighed = directed * spread[:, 2 * width : 3 * width]
            to = message[:, 2 * width : size].unflatten(1, (harmonics.shape[1], -1))
            to[:, :, :width].addcmul_(harmonics[:, :, None], weighed[:, None])
        kept = OnEdges(
            query,
            sent,
            of_radial,
            tangents,
            biases,
            exponentials,
            weights,
            spread,
            factors,
            directed,
        )
        return message, kept

    def _edges_gradient(
        self, kept: OnEdges, envelope: Tensor, harmonics: Tensor, slope: Tensor
    ) -> tuple[Tensor, ...]:
        """From slopes (E, size + G H) of messages to those of all that they are made of."""
        packed, size = self.packed, kept.query.shape[1]
        groups, channels = packed.spread.shape
        key, value = kept.sent[:, :size], kept.sent[:, size : 2 * size]
        by_message = slope[:, :size]
        by_sent = torch.empty_like(kept.sent)
        self._weighed(by_message, kept.factors, out=by_sent[:, size : 2 * size])
        by_factors = self._collapsed(by_message * value)
        by_radial = torch.empty_like(kept.of_radial)
        torch.mul(by_factors, kept.spread, out=by_radial[:, :channels])
        by_spread = by_factors.mul_(kept.of_radial[:, :channels])
        by_harmonics = torch.zeros_like(harmonics)
        if kept.directed is not None:
            width = kept.sent.shape[1] - 2 * size
            own = slice(2 * width, 3 * width)
            filters = slice(channels, channels + width)
            along = by_message[:, 2 * width :].unflatten(1, (harmonics.shape[1], -1))[:, :, :width]
            weighed = kept.directed * kept.spread[:, own]
            by_harmonics = torch.bmm(along, weighed[:, :, None]).squeeze(2)
            by_weighed = torch.bmm(harmonics[:, None], along).squeeze(1)
            by_spread[:, own].addcmul_(by_weighed, kept.directed)
            by_directed = by_weighed.mul_(kept.spread[:, own])
            torch.mul(by_directed, kept.of_radial[:, filters], out=by_sent[:, 2 * size :])
            torch.mul(by_directed, kept.sent[:, 2 * size :], out=by_radial[:, filters])
        by_masked = by_spread @ packed.spread.T
        by_weights = torch.addcmul(slope[:, size:], by_masked, envelope[:, None])
        by_mask = by_masked.mul_(kept.weights).addcmul_(by_weights, kept.exponentials)
        by_exponent = by_weights.mul_(kept.weights).mul_(packed.bound)
        tanh_backward = torch.ops.aten.tanh_backward
        by_radial[:, -groups:] = tanh_backward(by_exponent, kept.biases)
        by_logits = tanh_backward(by_exponent, kept.tangents)
        by_product = by_logits @ packed.members.T
        self._weighed(kept.query, by_product, out=by_sent[:, :size])
        by_query = self._weighed(key, by_product)
        return (
            self.receivers.sum(by_query),
            self.senders.sum(by_sent),
            by_radial @ packed.radial.T,
            by_mask.sum(dim=1),
            by_harmonics,
        )

    def _collapsed(self, rows: Tensor) -> Tensor:
        """Rows (n, size) to sums over components (n, G F)."""
        width = self.packed.out_x.shape[0]
        if self.packed.out_e is None:
            return rows
        of_e = rows[:, width:].unflatten(1, (-1, width)).sum(dim=1)
        return torch.cat([rows[:, :width], of_e], dim=1)

    def _weighed(self, rows: Tensor, factors: Tensor, out: Tensor | None = None) -> Tensor:
        """Rows (n, size) times factors (n, G F) that all components share."""
        width = self.packed.out_x.shape[0]
        if self.packed.out_e is None:
            return torch.mul(rows, factors, out=out)
        out = rows.new_empty(rows.shape) if out is None else out
        torch.mul(rows[:, :width], factors[:, :width], out=out[:, :width])
        parts, into = (own[:, width:].unflatten(1, (-1, width)) for own in (rows, out))
        torch.mul(parts, factors[:, None, width:], out=into)
        return out
