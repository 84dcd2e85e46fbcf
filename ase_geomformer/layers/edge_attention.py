"""Euclidean attention along edges, with its gradient written out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from ase_geomformer.graph.segments import Segments
from ase_geomformer.layers.activation import SLOPES, identity
from ase_geomformer.layers.dense import HeadLinear
from ase_geomformer.layers.frozen import FrozenWeights
from ase_geomformer.layers.harmonics import DegreeSum, few_columns
from ase_geomformer.layers.spline import SplinePoint, SplineTable
from ase_geomformer.layers.written_gradient import WrittenGradient

# Up to so many edges, the fixed cost of operations counts, and a written gradient takes 20 to 30 %
# less time. More edges take 15 % longer so: what is joined for fewer operations no longer fits
# into the cache.
FEW_EDGES = 2048
# The same where filters are computed once for both directions of a pair.
FEW_PAIRED = 2 * FEW_EDGES


class PackedWeights(FrozenWeights):
    """Frozen weights of attention, joined so that each step takes one product.

    Parameters
    ----------
    asked, keys, values : sequence of HeadLinear
        To queries of x and ev, to keys of both, to values of x.
    first, second : sequence of nn.Linear
        The layers of the spherical filters of x and of ev; empty where there are none.
    """

    def __init__(
        self,
        asked: Sequence[HeadLinear],
        keys: Sequence[HeadLinear],
        values: Sequence[HeadLinear],
        first: Sequence[nn.Linear],
        second: Sequence[nn.Linear],
    ) -> None:
        layers = (*asked, *keys, *values, *first, *second)
        super().__init__(weight for layer in layers for weight in layer.parameters(recurse=False))
        with torch.no_grad():
            self.maps = [_dense(layers) for layers in (asked, keys, values)]
            self.num_features = self.maps[2][0].shape[0]
            self.first = [torch.cat([getattr(layer, n) for layer in first]) for n in PARTS if first]
            self.second = [layer.weight.T.contiguous() for layer in second]
            self.second_bias = (
                torch.cat([layer.bias for layer in second]) if second else torch.zeros(0)
            )


PARTS = ("weight", "bias")


def _dense(maps: Sequence[HeadLinear]) -> tuple[Tensor, Tensor | None]:
    """Maps of blocks as one matrix (F, maps F) with its bias.

    The blocks are an eighth of it or more, and one product takes less time than several of blocks
    with copies before and after.
    """
    matrices = [torch.block_diag(*one.weight).T for one in maps]
    biases = [one.bias.flatten() for one in maps if one.bias is not None]
    return torch.cat(matrices, dim=1).contiguous(), torch.cat(biases) if biases else None


class Kept(NamedTuple):
    """What the coefficients of the edges are made of; queries, filters and keys are 2 F wide."""

    difference: Tensor
    query: Tensor
    key: Tensor
    value: Tensor  # of x, F wide
    filters: Tensor
    filtered: Tensor  # query times filter
    sums: Tensor  # by head
    scale: Tensor  # of the sums
    alpha: Tensor
    spread: Tensor  # those of ev, for each of its components
    hidden: Tensor | None  # of the spherical filters


@dataclass(frozen=True, eq=False)
class EdgeAttention(WrittenGradient):
    """The updates (N, F) of x and (N, M) of ev; see :class:`~.attention.Attention`.

    Inputs are x (N, F), ev (N, M), the envelope (R,), harmonics (E, M), and what the filters make
    of the distances (R, 2 F), or with a table the distances (R,). R is E, or E / 2 where the second
    half of the edges are the reverses of the first: filters are the same for both.

    Attributes
    ----------
    plain : callable
        The formula.
    receivers, senders : Segments
    point : SplinePoint or None
        The places of the distances on the grid of ``table``.
    table : SplineTable or None
    packed : PackedWeights
    activation, filter_activation : callable
        Of queries and keys; inside the filters.
    degree_sum : DegreeSum
    heads : tuple of int
        Of x and of ev.
    norms : Tensor, shape (heads,)
        Factors of the coefficients.
    """

    plain: Callable[..., tuple[Tensor, Tensor]]
    receivers: Segments
    senders: Segments
    point: SplinePoint | None
    table: SplineTable | None
    packed: PackedWeights
    activation: Callable[[Tensor], Tensor]
    filter_activation: Callable[[Tensor], Tensor]
    degree_sum: DegreeSum
    heads: tuple[int, int]
    norms: Tensor

    @property
    def weights(self) -> Sequence[Tensor]:
        return self.packed.origin

    def formula(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        return self.plain(*inputs)

    def evaluate(self, *inputs: Tensor) -> tuple[tuple[Tensor, ...], Kept]:
        x, ev, envelope, harmonics, radial = inputs
        own = self._coefficients(x, ev, envelope, radial)
        dx = self.receivers.sum(self._weighted(own.value, own.alpha))
        return (dx, self.receivers.sum(own.spread * harmonics)), own

    def gradient(
        self, inputs: tuple[Tensor, ...], kept: Kept, slopes: tuple[Tensor, ...]
    ) -> tuple[Tensor | None, ...]:
        x, _, envelope, harmonics, _ = inputs
        rows, members = envelope.shape[0], self.degree_sum.members
        slope_x, slope_ev = (slope.index_select(0, self.receivers.index) for slope in slopes)
        from_x = self._head_sums(slope_x * kept.value)
        by_alpha = torch.cat([from_x, few_columns(slope_ev * harmonics, members)], dim=1)
        by_harmonics = slope_ev * kept.spread
        by_envelope = torch.mv(by_alpha * kept.sums, self.norms)
        by_sums = by_alpha.view(-1, *kept.scale.shape).mul_(kept.scale).flatten(0, 1)
        by_value = self.senders.sum(self._weighted(slope_x, kept.alpha))
        by_key = self.senders.sum(self._weighted(kept.filtered, by_sums))
        through = self._weighted(kept.key, by_sums)
        by_query = self.receivers.sum(_filtered(through, kept.filters))
        by_filters = through[:rows] * kept.query[:rows]
        is_paired = rows < through.shape[0]
        if is_paired:
            by_envelope = by_envelope[:rows] + by_envelope[rows:]
            by_filters.addcmul_(through[rows:], kept.query[rows:])
        by_ev = None
        if kept.hidden is not None:
            by_difference = self._by_difference(kept, by_filters, kept.hidden)
            if is_paired:
                by_ev = self.senders.sum(torch.cat([by_difference, -by_difference]))
            else:
                by_ev = self.senders.sum(by_difference) - self.receivers.sum(by_difference)
        by_x = self._by_x(x, by_query, by_key, by_value)
        by_radial = by_filters
        if self.point is not None and self.table is not None:
            steepness = self.point.read(self.table.coefficients, 1)
            by_radial = by_filters.mul_(steepness).sum(dim=1)
        return by_x, by_ev, by_envelope, by_harmonics, by_radial

    def _tables(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries and keys (N, 2 F), and values of x (N, F), of the atoms."""
        query, key, value = self._linear(x)
        return self.activation(query), self.activation(key), value

    def _linear(self, x: Tensor) -> list[Tensor]:
        return [
            x @ weight if bias is None else torch.addmm(bias, x, weight)
            for weight, bias in self.packed.maps
        ]

    def _by_x(self, x: Tensor, *by_tables: Tensor) -> Tensor:
        """From gradients with respect to queries, keys and values to that with respect to x."""
        by_query, by_key, by_value = by_tables
        if self.activation is not identity:
            query, key, _ = self._linear(x)
            slope = SLOPES[self.activation]
            by_query, by_key = slope(by_query, query), slope(by_key, key)
        (asked, _), (keys, _), (values, _) = self.packed.maps
        return torch.addmm(by_query @ asked.T, by_key, keys.T).addmm_(by_value, values.T)

    def _coefficients(self, x: Tensor, ev: Tensor, envelope: Tensor, radial: Tensor) -> Kept:
        receivers, senders = self.receivers.index, self.senders.index
        rows = envelope.shape[0]
        query, key, value = self._tables(x)
        query = query.index_select(0, receivers)
        key, value = key.index_select(0, senders), value.index_select(0, senders)
        difference = ev.index_select(0, senders[:rows]).sub_(ev.index_select(0, receivers[:rows]))
        if self.point is None or self.table is None:
            filters = radial.clone()
        else:
            filters = self.point.read(self.table.coefficients, 0)
        hidden = None
        if self.packed.first:
            weight, bias = self.packed.first
            invariants = self.degree_sum.invariants(difference)
            hidden = nn.functional.linear(invariants, weight, bias)
            active = self.filter_activation(hidden).chunk(2, dim=1)
            for own, weight, to in zip(
                active, self.packed.second, filters.chunk(2, dim=1), strict=True
            ):
                to.addmm_(own, weight)
            filters += self.packed.second_bias
        filtered = _filtered(query, filters)
        sums = self._head_sums(filtered * key)
        scale = envelope[:, None] * self.norms
        alpha = (sums.view(-1, *scale.shape) * scale).flatten(0, 1)
        spread = alpha[:, self.heads[0] :] @ self.degree_sum.members.T
        return Kept(
            difference, query, key, value, filters, filtered, sums, scale, alpha, spread, hidden
        )

    def _by_head(self, values: Tensor) -> list[Tensor]:
        """Features (E, F) of x, or (E, 2 F) of both, as blocks (E, heads, features of a head)."""
        rows, width = values.shape
        of_x, of_ev = self.heads
        features = self.packed.num_features
        if width == features:
            return [values.view(rows, of_x, -1)]
        if of_x == of_ev:
            return [values.view(rows, of_x + of_ev, -1)]
        parts = zip(values.split(features, dim=1), self.heads, strict=True)
        return [part.view(rows, count, -1) for part, count in parts]

    def _head_sums(self, values: Tensor) -> Tensor:
        """Sums over features by head: (E, F) of x, or (E, 2 F) of both, to (E, heads)."""
        return _joined([block.sum(dim=2) for block in self._by_head(values)])

    def _weighted(self, values: Tensor, weights: Tensor) -> Tensor:
        """Features times the number of their head, of (E, heads)."""
        start, weighted = 0, []
        for block in self._by_head(values):
            end = start + block.shape[1]
            weighted.append((block * weights[:, start:end, None]).flatten(1))
            start = end
        return _joined(weighted)

    def _by_difference(self, own: Kept, by_filters: Tensor, hidden: Tensor) -> Tensor:
        """Gradient (R, M) with respect to the differences of ev."""
        parts = zip(by_filters.chunk(2, dim=1), self.packed.second, strict=True)
        active = torch.cat([by_own @ weight.T for by_own, weight in parts], dim=1)
        by_hidden = SLOPES[self.filter_activation](active, hidden)
        by_invariants = few_columns(by_hidden, self.packed.first[0])
        return self.degree_sum.gradient(own.difference, by_invariants)


def _joined(parts: list[Tensor]) -> Tensor:
    return parts[0] if len(parts) == 1 else torch.cat(parts, dim=1)


def _filtered(values: Tensor, filters: Tensor) -> Tensor:
    """Values (E, 2 F) times filters (R, 2 F)."""
    if values.shape == filters.shape:
        return values * filters
    return (values.view(-1, *filters.shape) * filters).flatten(0, 1)
