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
from ase_geomformer.layers.harmonics import DegreeSum
from ase_geomformer.layers.heads import REGISTER
from ase_geomformer.layers.spline import SplinePoint, SplineTable
from ase_geomformer.layers.written_gradient import WrittenGradient

# Up to so many edges, the fixed cost of operations counts, and a written gradient takes 20 to 30 %
# less time. More edges take 15 % longer so: what is joined for fewer operations no longer fits
# into the cache.
FEW_EDGES = 2048


class PackedWeights:
    """Frozen weights of attention, joined so that each step takes one product.

    Parameters
    ----------
    asked, sent : sequence of HeadLinear
        To queries of x and ev; to keys of x and ev, and values of x.
    first, second : sequence of nn.Linear
        The layers of the spherical filters of x and of ev; empty where there are none.
    heads : tuple of int
        Of x and of ev.
    """

    def __init__(
        self,
        asked: Sequence[HeadLinear],
        sent: Sequence[HeadLinear],
        first: Sequence[nn.Linear],
        second: Sequence[nn.Linear],
        heads: tuple[int, int],
    ) -> None:
        self.origin: list[Tensor] = []
        for layer in (*asked, *sent, *first, *second):
            self.origin += layer.parameters(recurse=False)
        self._versions = self._now()
        with torch.no_grad():
            self.asked, self.asked_bias = _dense(asked)
            self.sent, self.sent_bias = _dense(sent)
            self.first = [torch.cat([getattr(layer, n) for layer in first]) for n in PARTS if first]
            self.second = [layer.weight.T.contiguous() for layer in second]
            self.second_bias = (
                torch.cat([layer.bias for layer in second]) if second else torch.zeros(0)
            )
            width = self.asked.shape[0]
            owner = [h for h in range(heads[0]) for _ in range(width // heads[0])]
            owner += [heads[0] + h for h in range(heads[1]) for _ in range(width // heads[1])]
            self.members = torch.eye(sum(heads)).to(self.asked)[owner]

    def is_current(self, layer: nn.Module) -> bool:
        """Whether no weight has changed since, of which ``layer`` holds the first."""
        return layer.weight is self.origin[0] and self._now() == self._versions

    def _now(self) -> list[int]:
        return [weight._version for weight in self.origin]


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
    sent: Tensor  # keys, then values of x
    filters: Tensor
    filtered: Tensor  # query times filter
    sums: Tensor  # by head
    scale: Tensor  # of the sums
    alpha: Tensor
    hidden: Tensor | None  # of the spherical filters


@dataclass(frozen=True, eq=False)
class EdgeAttention(WrittenGradient):
    """The updates (N, F) of x and (N, M) of ev; see :class:`~.attention.Attention`.

    Inputs are x (N, F), ev (N, M), the envelope (E,), harmonics (E, M), and what the filters make
    of the distances (E, 2 F), or with a table the distances (E,).

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
        width, components = x.shape[1], ev.shape[1]
        own = self._coefficients(x, ev, envelope, radial)
        message = own.sent.new_empty(own.alpha.shape[0], width + components)
        self._weighted(own.sent[:, 2 * width :], own.alpha, message[:, :width])
        spread = own.alpha[:, self.heads[0] :] @ self.degree_sum.members.T
        torch.mul(spread, harmonics, out=message[:, width:])
        total = self.receivers.sum(message)
        return (total[:, :width], total[:, width:]), own

    def gradient(
        self, inputs: tuple[Tensor, ...], kept: Kept, slopes: tuple[Tensor, ...]
    ) -> tuple[Tensor, ...]:
        x, ev, _, harmonics, _ = inputs
        width, components = x.shape[1], ev.shape[1]
        members = self.degree_sum.members
        on_edge = torch.cat(slopes, dim=1).index_select(0, self.receivers.index)
        slope_x, slope_ev = on_edge[:, :width], on_edge[:, width:]
        from_x = self._head_sums(slope_x * kept.sent[:, 2 * width :], self.heads[0])
        by_alpha = torch.cat([from_x, (slope_ev * harmonics) @ members], dim=1)
        by_harmonics = slope_ev * (kept.alpha[:, self.heads[0] :] @ members.T)
        by_envelope = torch.mv(by_alpha * kept.sums, self.norms)
        by_sums = (by_alpha * kept.scale) @ self.packed.members.T
        for_receivers = by_sums.new_empty(by_sums.shape[0], 2 * width + components)
        for_senders = by_sums.new_empty(by_sums.shape[0], 3 * width + components)
        torch.mul(by_sums, kept.filtered, out=for_senders[:, : 2 * width])
        self._weighted(slope_x, kept.alpha, for_senders[:, 2 * width : 3 * width])
        by_sums *= kept.sent[:, : 2 * width]
        torch.mul(by_sums, kept.filters, out=for_receivers[:, : 2 * width])
        by_filters = by_sums.mul_(kept.query)
        by_difference = self._by_difference(kept, by_filters, for_senders[:, 3 * width :])
        torch.neg(by_difference, out=for_receivers[:, 2 * width :])
        by_asked, by_sent = self.receivers.sum(for_receivers), self.senders.sum(for_senders)
        by_x = self._by_x(x, by_asked[:, : 2 * width], by_sent[:, : 3 * width])
        by_ev = by_asked[:, 2 * width :] + by_sent[:, 3 * width :]
        by_radial = by_filters
        if self.point is not None and self.table is not None:
            steepness = self.point.read(self.table.coefficients, 1)
            by_radial = by_filters.mul_(steepness).sum(dim=1)
        return by_x, by_ev, by_envelope, by_harmonics, by_radial

    def _tables(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """What atoms ask for (N, 2 F), and what they send (N, 3 F)."""
        asked, sent = self._linear(x)
        if self.activation is not identity:
            keys = 2 * x.shape[1]
            asked = self.activation(asked)
            sent = torch.cat([self.activation(sent[:, :keys]), sent[:, keys:]], dim=1)
        return asked, sent

    def _linear(self, x: Tensor) -> tuple[Tensor, Tensor]:
        packed = self.packed
        if packed.asked_bias is None or packed.sent_bias is None:
            return x @ packed.asked, x @ packed.sent
        return (
            torch.addmm(packed.asked_bias, x, packed.asked),
            torch.addmm(packed.sent_bias, x, packed.sent),
        )

    def _by_x(self, x: Tensor, by_asked: Tensor, by_sent: Tensor) -> Tensor:
        """From gradients with respect to both tables to that with respect to x."""
        if self.activation is not identity:
            keys = 2 * x.shape[1]
            asked, sent = self._linear(x)
            slope = SLOPES[self.activation]
            by_asked = slope(by_asked, asked)
            by_keys = slope(by_sent[:, :keys], sent[:, :keys])
            by_sent = torch.cat([by_keys, by_sent[:, keys:]], dim=1)
        return torch.addmm(by_asked @ self.packed.asked.T, by_sent, self.packed.sent.T)

    def _coefficients(self, x: Tensor, ev: Tensor, envelope: Tensor, radial: Tensor) -> Kept:
        receivers, senders = self.receivers.index, self.senders.index
        asked, sent = self._tables(x)
        query, sent = asked.index_select(0, receivers), sent.index_select(0, senders)
        difference = ev.index_select(0, senders).sub_(ev.index_select(0, receivers))
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
        filtered = query * filters
        sums = self._head_sums(filtered * sent[:, : query.shape[1]], sum(self.heads))
        scale = envelope[:, None] * self.norms
        return Kept(difference, query, sent, filters, filtered, sums, scale, sums * scale, hidden)

    def _head_sums(self, values: Tensor, heads: int) -> Tensor:
        """Sums over features by head: (E, F) of x, or (E, 2 F) of both, to (E, heads)."""
        if self.heads[0] == self.heads[1] and values.shape[1] >= heads * REGISTER:
            return values.view(values.shape[0], heads, -1).sum(dim=2)
        return values @ self.packed.members[: values.shape[1], :heads]

    def _weighted(self, values: Tensor, alpha: Tensor, out: Tensor) -> None:
        """Features (E, F) of x times the coefficient of their head."""
        heads = self.heads[0]
        shape = (values.shape[0], heads, values.shape[1] // heads)
        torch.mul(values.view(shape), alpha[:, :heads, None], out=out.view(shape))

    def _by_difference(self, own: Kept, by_filters: Tensor, out: Tensor) -> Tensor:
        """Gradient (E, M) with respect to the differences of ev."""
        if own.hidden is None:
            return out.zero_()
        parts = zip(by_filters.chunk(2, dim=1), self.packed.second, strict=True)
        active = torch.cat([by_own @ weight.T for by_own, weight in parts], dim=1)
        by_invariants = SLOPES[self.filter_activation](active, own.hidden) @ self.packed.first[0]
        return out.copy_(self.degree_sum.gradient(own.difference, by_invariants))
