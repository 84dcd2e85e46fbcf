"""What attention of GeoMFormer sends between atoms, by products of matrices, and its gradient.

Pairs are the edges, and after them each atom with itself. Logits are products of queries and keys
of all atoms, one matrix (N, N) for each head, and messages products of such a matrix for each
channel with the values of all atoms. Only what belongs to an edge alone, weights and filters, is
evaluated edge by edge.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from ase_geomformer.graph.segments import Segments, Slots


class Pairs(NamedTuple):
    """Edges and atoms with themselves, P = E + N, and their places among all pairs of atoms.

    Attributes
    ----------
    atoms : int
    receivers, places : Tensor, shape (P,), int64
        The first atom, and the place in a table of N by N atoms.
    senders : Segments
        Of the edges.
    slots : Slots
        Of the edges by their receiver.
    """

    atoms: int
    receivers: Tensor
    places: Tensor
    senders: Segments
    slots: Slots

    @classmethod
    def of(cls, receivers: Segments, senders: Segments) -> Pairs:
        """The pairs of edges by their receivers, which have slots, and senders."""
        slots, number = receivers.slots, receivers.number
        assert slots is not None
        own = torch.arange(number)
        first, second = torch.cat([receivers.index, own]), torch.cat([senders.index, own])
        return cls(number, first, first * number + second, senders, slots)

    def read(self, tables: Tensor) -> Tensor:
        """Values (G, P) of the pairs in tables (G, N, N)."""
        return tables.flatten(1).index_select(1, self.places)

    def written(self, values: Tensor) -> Tensor:
        """Tables (G, N, N) of the values (G, P); images of one atom are added."""
        tables = values.new_zeros(values.shape[0], self.atoms * self.atoms)
        return tables.index_add_(1, self.places, values).view(-1, self.atoms, self.atoms)

    def received(self, values: Tensor) -> Tensor:
        """Sums (G, N) by the first atom of the values (G, P)."""
        sums = values.new_zeros(values.shape[0], self.atoms)
        return sums.index_add_(1, self.receivers, values)


class Channels(NamedTuple):
    """Features of atoms by channel: those of x (2 F, N), and those of e (2 F, M, N) if any."""

    x: Tensor
    e: Tensor | None

    @classmethod
    def of(cls, rows: Tensor, width: int) -> Channels:
        """From rows (N, 2 F) or (N, (2 + 2 M) F), those of e component by component."""
        of_x, of_e = rows.split([2 * width, rows.shape[1] - 2 * width], dim=1)
        x = of_x.T.contiguous()
        if not of_e.shape[1]:
            return cls(x, None)
        return cls(x, of_e.view(len(rows), -1, 2 * width).permute(2, 1, 0).contiguous())

    @property
    def rows_x(self) -> Tensor:
        """Those of x as rows (N, 2 F)."""
        return self.x.T.contiguous()

    @property
    def rows(self) -> Tensor:
        """The inverse of :meth:`of`."""
        if self.e is None:
            return self.x.T
        return torch.cat([self.x.T, self.e.permute(2, 1, 0).flatten(1)], dim=1)

    @property
    def parts(self) -> list[Tensor]:
        """Both as (2 F, components, N)."""
        return [self.x[:, None]] if self.e is None else [self.x[:, None], self.e]

    def by_head(self, heads: int) -> list[Tensor]:
        """Both as (heads, components and channels of a head, N)."""
        return [part.reshape(heads, -1, part.shape[2]) for part in self.parts]


class OnPairs(NamedTuple):
    """What the gradient needs."""

    query: Channels
    key: Channels
    value: Channels
    source: Tensor | None
    of_radial: Tensor
    tangents: Tensor
    biases: Tensor
    exponentials: Tensor
    mask: Tensor
    weights: Tensor
    masked: Tensor
    tables: list[Tensor]
    directed: Tensor | None
    weighed: Tensor | None
    totals: list[Tensor]
    inverse: Tensor


class FrozenMessages(NamedTuple):
    """Constants of the messages, for G modules of H heads of F / H channels.

    Attributes
    ----------
    heads : int
        Heads H of each module.
    radial, radial_bias : Tensor, shapes (R, K) and (R, 1)
        From the radial basis to filters of values (G F), of directions (F or none), and to biases
        by distance (G H), divided by their bound.
    scales : Tensor, shape (G H, 1)
        Of logits, divided by their bound.
    own_bias : Tensor, shape (G H, 1)
        Of an atom with itself, divided by the bound and bounded.
    bound : float
    """

    heads: int
    radial: Tensor
    radial_bias: Tensor
    scales: Tensor
    own_bias: Tensor
    bound: float

    def evaluate(
        self,
        pairs: Pairs,
        query: Channels,
        key: Channels,
        value: Channels,
        source: Tensor,
        edges: tuple[Tensor, Tensor, Tensor],
    ) -> tuple[Channels, OnPairs]:
        """What atoms are given; what directions are weighed with is ``source`` (N, F or none).

        ``edges`` are the envelope (E,), harmonics (E, M) and the radial basis (E, K).
        """
        envelope, harmonics, radial = edges
        count, groups = len(envelope), len(self.scales)
        of_radial = torch.addmm(self.radial_bias, self.radial, radial.T)
        heads = zip(query.by_head(2 * self.heads), key.by_head(2 * self.heads), strict=True)
        logits = torch.cat([torch.bmm(q.mT, k) for q, k in heads])
        tangents = torch.tanh(pairs.read(logits).mul_(self.scales))
        biases = self.own_bias.repeat(1, tangents.shape[1])
        torch.tanh(of_radial[-groups:], out=biases[:, :count])
        exponentials = torch.exp((tangents + biases).mul_(self.bound))
        mask = torch.cat([envelope, envelope.new_ones(pairs.atoms)])
        weights = exponentials * mask
        masked = weights * mask
        channels = value.x.shape[0] * groups // (2 * self.heads)
        factors = masked.repeat_interleave(channels // groups, dim=0)
        factors[:, :count].mul_(of_radial[:channels])
        tables = list(pairs.written(factors).split(value.x.shape[0]))
        totals = [
            torch.bmm(part, table.mT) for part, table in zip(value.parts, tables, strict=True)
        ]
        at_edges = directed = weighed = None
        width = source.shape[1]
        if width:
            at_edges = source.T.index_select(1, pairs.senders.index)
            directed = at_edges * of_radial[channels : channels + width]
            weighed = _by_head(directed, self._own(masked, count))
            sums = torch.bmm(pairs.slots.filled(weighed.T).mT, pairs.slots.filled(harmonics))
            totals[1][:width] += sums.permute(1, 2, 0)
        inverse = pairs.received(weights).reciprocal_()
        given = [_by_head(t, i) for t, i in zip(totals, self._by_stream(inverse), strict=True)]
        kept = OnPairs(
            query,
            key,
            value,
            at_edges,
            of_radial,
            tangents,
            biases,
            exponentials,
            mask,
            weights,
            masked,
            tables,
            directed,
            weighed,
            totals,
            inverse,
        )
        return Channels(given[0][:, 0], given[1] if len(given) > 1 else None), kept

    def gradient(
        self, pairs: Pairs, kept: OnPairs, by_given: Channels, edges: tuple[Tensor, Tensor]
    ) -> tuple[list[Channels], Tensor, tuple[Tensor, Tensor, Tensor]]:
        """Slopes of queries, keys and values, of ``source``, and of the edges' three inputs."""
        envelope, harmonics = edges
        count, groups = len(envelope), len(self.scales)
        inverses = self._by_stream(kept.inverse)
        by_totals = [_by_head(g, i) for g, i in zip(by_given.parts, inverses, strict=True)]
        by_inverse = torch.cat(
            [
                _head_sums(g * total, 2 * self.heads)
                for g, total in zip(by_given.parts, kept.totals, strict=True)
            ]
        )
        by_denominator = by_inverse.mul_(kept.inverse).mul_(kept.inverse).neg_()
        by_value = [
            torch.bmm(by_total, table)
            for by_total, table in zip(by_totals, kept.tables, strict=True)
        ]
        by_tables = torch.cat(
            [
                torch.bmm(by_total.mT, part)
                for by_total, part in zip(by_totals, kept.value.parts, strict=True)
            ]
        )
        by_factors = pairs.read(by_tables)
        channels = len(by_factors)
        by_radial = torch.empty_like(kept.of_radial)
        by_radial[:channels] = _by_head(by_factors[:, :count], kept.masked[:, :count])
        by_factors[:, :count].mul_(kept.of_radial[:channels])
        by_masked = _head_sums(by_factors, groups)
        by_source, by_harmonics = envelope.new_zeros(pairs.atoms, 0), torch.zeros_like(harmonics)
        if kept.directed is not None and kept.source is not None and kept.weighed is not None:
            width = len(kept.directed)
            filters = slice(channels, channels + width)
            by_sums = by_totals[1][:width].permute(2, 0, 1)
            by_table = torch.bmm(pairs.slots.filled(kept.weighed.T), by_sums)
            by_harmonics = pairs.slots.members(by_table)
            table = torch.bmm(pairs.slots.filled(harmonics), by_sums.mT)
            by_weighed = pairs.slots.members(table).T
            self._own(by_masked, count).add_(_head_sums(by_weighed * kept.directed, self.heads))
            by_directed = _by_head(by_weighed, self._own(kept.masked, count))
            torch.mul(by_directed, kept.source, out=by_radial[filters])
            by_source = pairs.senders.sum((by_directed * kept.of_radial[filters]).T)
        by_weights = by_denominator.index_select(1, pairs.receivers).addcmul_(by_masked, kept.mask)
        by_mask = by_masked.mul_(kept.weights).addcmul_(by_weights, kept.exponentials)
        by_exponent = by_weights.mul_(kept.weights).mul_(self.bound)
        tanh_backward = torch.ops.aten.tanh_backward
        by_radial[-groups:] = tanh_backward(by_exponent[:, :count], kept.biases[:, :count])
        by_scores = tanh_backward(by_exponent, kept.tangents).mul_(self.scales)
        by_logits = pairs.written(by_scores).split(2 * self.heads)
        keys, queries = (own.by_head(2 * self.heads) for own in (kept.key, kept.query))
        by_query = [torch.bmm(k, by.mT) for k, by in zip(keys, by_logits, strict=True)]
        by_key = [torch.bmm(q, by) for q, by in zip(queries, by_logits, strict=True)]
        return (
            [_channels(part, kept.value) for part in (by_query, by_key, by_value)],
            by_source,
            (by_mask[:, :count].sum(dim=0), by_harmonics, by_radial.T @ self.radial),
        )

    def _own(self, values: Tensor, count: int) -> Tensor:
        """Values (H, E) at edges of the module in which e attends to itself."""
        return values[2 * self.heads : 3 * self.heads, :count]

    def _by_stream(self, values: Tensor) -> tuple[Tensor, ...]:
        """Values (G H, N) of the modules that update x and those that update e, (2 H, 1, N)."""
        return values[:, None].split(2 * self.heads)


def _channels(parts: list[Tensor], like: Channels) -> Channels:
    e = None if like.e is None else parts[1].reshape(like.e.shape)
    return Channels(parts[0].reshape(like.x.shape), e)


def _by_head(values: Tensor, factors: Tensor) -> Tensor:
    """Values (C, ...) times factors (heads, ...), which all channels of a head share."""
    heads = factors.shape[0]
    return (values.unflatten(0, (heads, -1)) * factors[:, None]).flatten(0, 1)


def _head_sums(values: Tensor, heads: int) -> Tensor:
    """Sums (heads, n) over the channels, and components if any, of values (C, ..., n)."""
    return values.unflatten(0, (heads, -1)).flatten(1, -2).sum(dim=1)
