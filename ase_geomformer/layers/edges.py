"""The edges of a graph as layers read them: radial basis, cutoff and spherical harmonics."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import torch
from torch import Tensor, nn

from ase_geomformer.graph.atom_graph import AtomGraph
from ase_geomformer.graph.pair_graph import PairGraph
from ase_geomformer.graph.segments import Segments, Slots
from ase_geomformer.layers.cutoff import Envelope
from ase_geomformer.layers.harmonics import SphericalHarmonics, distances_and_directions
from ase_geomformer.layers.host import may_read
from ase_geomformer.layers.spline import SplinePoint
from ase_geomformer.layers.written_gradient import is_by_formula, is_traced

# Below so many edges, to put them in order takes longer than filters of half of them save.
PAIRED_FROM = 192


class Way(NamedTuple):
    """The edges of one direction: their ends, and harmonics (E, M) of their directions."""

    receivers: Segments
    senders: Segments
    harmonics: Tensor


@dataclass(frozen=True)
class Edges:
    """What all layers read of the edges: their ends, basis (R, K), cutoff (R,), Y (R, M).

    Instead of the basis there are places on a grid where the filters are tabulated. With a
    ``parity`` (M,) of the harmonics each row stands for two edges, the one that it describes and
    its reverse; basis and cutoff are the same for both.
    """

    receivers: Segments
    senders: Segments
    radial: Tensor | SplinePoint
    envelope: Tensor
    harmonics: Tensor
    parity: Tensor | None = None

    @classmethod
    def of(
        cls,
        graph: AtomGraph,
        radial_basis: nn.Module,
        envelope: Callable[[Tensor, float], Tensor],
        harmonics: SphericalHarmonics,
        cutoff: float,
    ) -> Edges:
        """The edges of a graph, expanded in a radial basis and in spherical harmonics.

        They are taken in pairs where that pays.
        """
        readable = may_read(graph.edge_vectors) and not is_traced()
        if graph.num_edges >= PAIRED_FROM and readable:
            graph = PairGraph.of(graph) or graph
        ends = graph.receivers, graph.senders
        edges = cls.expand(ends, graph.edge_vectors, radial_basis, envelope, harmonics, cutoff)
        return replace(edges, parity=harmonics.parity) if graph.is_paired else edges

    @property
    def ways(self) -> tuple[Way, ...]:
        """The rows as edges of one direction and, with a parity, their reverses."""
        there = Way(self.receivers, self.senders, self.harmonics)
        if self.parity is None:
            return (there,)
        return there, Way(self.senders, self.receivers, self.harmonics * self.parity)

    @property
    def number(self) -> int:
        """How many edges there are, each direction counted."""
        rows = self.receivers.index.shape[0]
        return rows if self.parity is None else 2 * rows

    @cached_property
    def joined(self) -> Way:
        """All edges, the reverses after the others."""
        if len(self.ways) == 1:
            return self.ways[0]
        receivers, senders, harmonics = zip(*self.ways, strict=True)
        return Way(_joined(receivers), _joined(senders), torch.cat(harmonics))

    @classmethod
    def expand(
        cls,
        ends: tuple[Segments, Segments],
        vectors: Tensor,
        radial_basis: nn.Module,
        envelope: Callable[[Tensor, float], Tensor],
        harmonics: SphericalHarmonics,
        cutoff: float,
    ) -> Edges:
        """Edges by their receivers and senders and their vectors (E, 3)."""
        receivers, senders = ends
        distances, directions = distances_and_directions(vectors)
        return cls(
            receivers=receivers,
            senders=senders,
            radial=radial_basis(distances),
            envelope=Envelope(envelope, cutoff)(distances)[0],
            harmonics=harmonics(directions),
        )

    def outer_sum(self, factors: Tensor, values: Tensor) -> Tensor:
        """Sums (N, M, C) over neighbours of factors (E, M) times values (E, C)."""
        slots = slots_of(self.receivers)
        if slots is None:
            return self.receivers.sum(factors[:, :, None] * values[:, None])
        return torch.bmm(slots.filled(factors).mT, slots.filled(values))


def slots_of(segments: Segments) -> Slots | None:
    """The table of the members; none where torch traces, or a GPU would be waited for."""
    return segments.slots if may_read(segments.index) and not is_by_formula() else None


def _joined(parts: Sequence[Segments]) -> Segments:
    return Segments.of(torch.cat([part.index for part in parts]), parts[0].number)
