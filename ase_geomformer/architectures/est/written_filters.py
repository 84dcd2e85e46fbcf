"""Messages by filters of EST with their gradient written out.

Sums of scalars times harmonics over the neighbours of an atom, and components of its features
along the edges to those that it sends to, are products of matrices, one for each atom: edges stand
in tables by receiver and by sender, see :class:`~ase_geomformer.graph.segments.Slots`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from ase_geomformer.architectures.est.written_norm import FrozenNorm, NormKept
from ase_geomformer.architectures.est.written_sums import sums, sums_gradient
from ase_geomformer.graph.segments import Segments, Slots
from ase_geomformer.layers.frozen import FrozenWeights
from ase_geomformer.layers.spline import SplinePoint, SplineTable
from ase_geomformer.layers.written_gradient import WrittenGradient


class FilterWeights(FrozenWeights):
    """Constants of :class:`WrittenFilters`, for degrees up to L and H heads, or none.

    Attributes
    ----------
    norm : FrozenNorm
    degrees : list of slice
        The components of each degree.
    scalars, scalars_bias : Tensor
        From scalars to values of all degrees, and with heads to keys and to queries, which are
        scaled as logits are: (C, (L + 1) C) or (C, (L + 3) C), and one row of offsets.
    members : Tensor or None
        Copies to the channels of each head, (H, C).
    share : float
        One over what sums are divided by.
    out, out_bias : Tensor
        From sums over neighbours to the update: (M, C, C) and (C,).
    """

    norm: FrozenNorm
    degrees: list[slice]
    scalars: Tensor
    scalars_bias: Tensor
    members: Tensor | None
    share: float
    out: Tensor
    out_bias: Tensor


class Kept(NamedTuple):
    """What the gradient needs; C wide, (E, n, C) where there are several of an edge."""

    of_norm: NormKept
    normal: Tensor
    filters: Tensor
    sent: Tensor  # values, and the key
    query: Tensor | None
    gates: Tensor | None  # by head
    weight: Tensor  # by channel, or one for all
    components: list[Tensor]  # along the edge
    senders: Tensor  # values with what joins them
    weighed: Tensor  # filters of harmonics and of features that are passed on
    scalars: Tensor  # what multiplies harmonics


@dataclass(frozen=True, eq=False)
class WrittenFilters(WrittenGradient):
    """Features (N, M, C) with their update by neighbours, the norm before it included.

    Inputs are the features, harmonics (E, M), the envelope (E,), and the filters (E, n C), or with
    a table the distances (E,).

    Attributes
    ----------
    plain : callable
        The formula.
    receivers, senders : Segments
        With ``slots``.
    point : SplinePoint or None
        The places of the distances on the grid of ``table``.
    table : SplineTable or None
    packed : FilterWeights
    """

    plain: Callable[..., Tensor]
    receivers: Segments
    senders: Segments
    point: SplinePoint | None
    table: SplineTable | None
    packed: FilterWeights

    @property
    def weights(self) -> Sequence[Tensor]:
        return self.packed.origin

    def formula(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        return (self.plain(*inputs),)

    def evaluate(self, *inputs: Tensor) -> tuple[tuple[Tensor, ...], Kept]:
        features, harmonics, envelope, filters = inputs
        packed, edges, count = self.packed, len(harmonics), len(self.packed.degrees)
        if self.point is not None and self.table is not None:
            filters = self.point.read(self.table.coefficients, 0)
        normal, of_norm = packed.norm.evaluate(features)
        channels = normal.shape[2]
        filters = filters.view(edges, -1, channels)
        of_scalars = torch.addmm(packed.scalars_bias, normal[:, 0], packed.scalars)
        query = gates = None
        width = count * channels
        weight = (packed.share * envelope)[:, None]
        if packed.members is not None:
            width += channels
            query = of_scalars[:, width:].index_select(0, self.receivers.index)
        sent = of_scalars[:, :width].index_select(0, self.senders.index).view(edges, -1, channels)
        if packed.members is not None and query is not None:
            gates = torch.sigmoid((query * filters[:, -1] * sent[:, -1]) @ packed.members.T)
            weight = (2.0 * weight * gates) @ packed.members
        components = self._components(normal, harmonics)
        along = filters[:, 2 * count - 1 :].unbind(1)
        joined = sum((a * c for a, c in zip(along, components, strict=False)), torch.zeros(()))
        senders = sent[:, :count] + joined[:, None] if components else sent[:, :count]
        weighed = filters[:, : 2 * count - 1] * weight[:, None]
        scalars = weighed[:, :count] * senders
        received = sums(_slots(self.receivers), scalars, harmonics)
        received[:, 1:] += self._passed(normal, weighed[:, count:])
        update = torch.bmm(received.transpose(0, 1), packed.out)
        update[0] += packed.out_bias
        kept = Kept(
            of_norm,
            normal,
            filters,
            sent,
            query,
            gates,
            weight,
            components,
            senders,
            weighed,
            scalars,
        )
        return (features + update.transpose(0, 1),), kept

    def gradient(
        self, inputs: tuple[Tensor, ...], kept: Kept, slopes: tuple[Tensor, ...]
    ) -> tuple[Tensor | None, ...]:
        _, harmonics, envelope, _ = inputs
        packed, (slope,) = self.packed, slopes
        count, filters = len(packed.degrees), kept.filters
        by_received = torch.bmm(slope.transpose(0, 1), packed.out.mT).transpose(0, 1).contiguous()
        by_weighed = torch.empty_like(kept.weighed)
        by_scalars, by_harmonics = sums_gradient(
            _slots(self.receivers), kept.scalars, harmonics, by_received
        )
        torch.mul(by_scalars, kept.senders, out=by_weighed[:, :count])
        by_passed = self._passed_gradient(kept, by_received, by_weighed[:, count:])
        by_sent = torch.empty_like(kept.sent)
        by_values = torch.mul(by_scalars, kept.weighed[:, :count], out=by_sent[:, :count])
        by_filters = torch.empty_like(filters)
        torch.mul(by_weighed, kept.weight[:, None], out=by_filters[:, : 2 * count - 1])
        by_weight = by_weighed.mul_(filters[:, : 2 * count - 1]).sum(dim=1)
        by_normal = torch.empty_like(kept.normal)
        by_normal[:, 1:] = by_passed
        by_joined = by_values.sum(dim=1)
        by_components = []
        for place, component in enumerate(kept.components, start=2 * count - 1):
            torch.mul(by_joined, component, out=by_filters[:, place])
            by_components.append(by_joined * filters[:, place])
        self._components_gradient(kept.normal, harmonics, by_components, by_normal, by_harmonics)
        by_of_scalars, by_envelope = self._weight_gradient(
            kept, envelope, by_weight, by_filters, by_sent
        )
        by_normal[:, 0] = by_of_scalars @ packed.scalars.T
        by_features = packed.norm.gradient(kept.of_norm, by_normal).add_(slope)
        by_radial = by_filters.flatten(1)
        if self.point is not None and self.table is not None:
            by_radial = by_radial.mul_(self.point.read(self.table.coefficients, 1)).sum(dim=1)
        return by_features, by_harmonics, by_envelope, by_radial

    def _weight_gradient(
        self,
        kept: Kept,
        envelope: Tensor,
        by_weight: Tensor,
        by_filters: Tensor,
        by_sent: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """Slopes of what scalars are mapped to, and of the envelope.

        What filters and keys of the gates have is written into ``by_filters`` and ``by_sent``.
        """
        packed = self.packed
        if packed.members is None or kept.gates is None or kept.query is None:
            return self.senders.sum(by_sent.flatten(1)), packed.share * by_weight.sum(dim=1)
        by_gates = (by_weight @ packed.members.T).mul_(2.0 * packed.share)
        by_envelope = (by_gates * kept.gates).sum(dim=1)
        by_gates *= envelope[:, None]
        by_logits = torch.ops.aten.sigmoid_backward(by_gates, kept.gates) @ packed.members
        key, own = kept.sent[:, -1], kept.filters[:, -1]
        torch.mul(by_logits * kept.query, key, out=by_filters[:, -1])
        by_logits *= own
        torch.mul(by_logits, kept.query, out=by_sent[:, -1])
        by_query = self.receivers.sum(by_logits.mul_(key))
        return torch.cat([self.senders.sum(by_sent.flatten(1)), by_query], dim=1), by_envelope

    def _components(self, normal: Tensor, harmonics: Tensor) -> list[Tensor]:
        """Means (E, C) of features times harmonics over each degree above zero."""
        slots = _slots(self.senders)
        table = slots.filled(harmonics)
        return [
            slots.members(torch.bmm(table[:, :, own], normal[:, own])).div_(own.stop - own.start)
            for own in self.packed.degrees[1:]
        ]

    def _components_gradient(
        self,
        normal: Tensor,
        harmonics: Tensor,
        slopes: list[Tensor],
        by_normal: Tensor,
        by_harmonics: Tensor,
    ) -> None:
        """From slopes (E, C); adds to those of features and of harmonics."""
        slots = _slots(self.senders)
        table = slots.filled(harmonics)
        by_table = torch.zeros_like(table)
        for own, slope in zip(self.packed.degrees[1:], slopes, strict=True):
            by_own = slots.filled(slope.div_(own.stop - own.start))
            by_normal[:, own] += torch.bmm(table[:, :, own].mT, by_own)
            by_table[:, :, own] = torch.bmm(by_own, normal[:, own].mT)
        by_harmonics += slots.members(by_table)

    def _passed(self, normal: Tensor, weights: Tensor) -> Tensor:
        """Sums (N, M - 1, C) of the senders' features by weights (E, L, C) of their degree.

        Component by component, as what belongs to one of them fits into the cache.
        """
        parts = []
        for own, weight in zip(self.packed.degrees[1:], weights.unbind(1), strict=True):
            weight = weight.contiguous()
            for m in range(own.start, own.stop):
                sent = normal[:, m].index_select(0, self.senders.index)
                parts.append(self.receivers.sum(sent.mul_(weight)))
        return torch.stack(parts, dim=1)

    def _passed_gradient(self, kept: Kept, slope: Tensor, by_weights: Tensor) -> Tensor:
        """From slopes (N, M, C) to those (N, M - 1, C) of features; others are written."""
        parts = []
        weights = kept.weighed[:, len(self.packed.degrees) :].unbind(1)
        for l, (own, weight) in enumerate(zip(self.packed.degrees[1:], weights, strict=True)):
            weight = weight.contiguous()
            by_weight = torch.zeros_like(weight)
            for m in range(own.start, own.stop):
                on_edge = slope[:, m].index_select(0, self.receivers.index)
                by_weight.addcmul_(on_edge, kept.normal[:, m].index_select(0, self.senders.index))
                parts.append(self.senders.sum(on_edge.mul_(weight)))
            by_weights[:, l] = by_weight
        return torch.stack(parts, dim=1)


def _slots(segments: Segments) -> Slots:
    slots = segments.slots
    assert slots is not None
    return slots
