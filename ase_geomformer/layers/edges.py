"""The edges of a graph as layers read them: radial basis, cutoff and spherical harmonics."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from ase_geomformer.graph.atom_graph import AtomGraph
from ase_geomformer.graph.segments import Segments, Slots
from ase_geomformer.layers.cutoff import Envelope
from ase_geomformer.layers.harmonics import SphericalHarmonics, distances_and_directions
from ase_geomformer.layers.host import may_read
from ase_geomformer.layers.spline import SplinePoint
from ase_geomformer.layers.written_gradient import is_by_formula

# Below so many edges, to put them in order takes longer than filters of half of them save.
MIRRORED_FROM = 192


@dataclass(frozen=True)
class Edges:
    """What all layers read of the edges: their ends, basis (E, K), cutoff (E,), Y (E, M).

    Instead of the basis there are places on a grid where the filters are tabulated. Where the
    second half of the edges are the reverses of the first, basis and cutoff, which are the same for
    both, may have rows of the first half only.
    """

    receivers: Segments
    senders: Segments
    radial: Tensor | SplinePoint
    envelope: Tensor
    harmonics: Tensor

    @classmethod
    def of(
        cls,
        graph: AtomGraph,
        radial_basis: nn.Module,
        envelope: Callable[[Tensor, float], Tensor],
        harmonics: SphericalHarmonics,
        cutoff: float,
    ) -> Edges:
        """The edges of a graph, expanded in a radial basis and in spherical harmonics."""
        ends = graph.receivers, graph.senders
        return cls.expand(ends, graph.edge_vectors, radial_basis, envelope, harmonics, cutoff)

    @classmethod
    def mirrored(
        cls,
        graph: AtomGraph,
        radial_basis: nn.Module,
        envelope: Callable[[Tensor, float], Tensor],
        harmonics: SphericalHarmonics,
        cutoff: float,
    ) -> Edges | None:
        """The same in another order, the edges of one direction and then their reverses.

        None where that does not pay, or not every edge comes with its reverse, as among the ghosts
        of a padded graph.
        """
        if graph.num_edges < MIRRORED_FROM:
            return None
        one_way = _one_way(graph)
        if 2 * one_way.shape[0] != graph.num_edges:
            return None
        index = graph.edge_index.index_select(1, one_way)
        back = index.flip(0)
        receivers, senders = torch.cat([index, back], dim=1)
        ends = (Segments.of(own, graph.num_atoms) for own in (receivers, senders))
        vectors = graph.edge_vectors.index_select(0, one_way)
        edges = cls.expand(
            (next(ends), next(ends)), vectors, radial_basis, envelope, harmonics, cutoff
        )
        values = edges.harmonics
        return replace(edges, harmonics=torch.cat([values, values * harmonics.parity]))

    @property
    def is_mirrored(self) -> bool:
        """Whether basis and cutoff have rows of the first half only."""
        return self.envelope.shape[0] < self.receivers.index.shape[0]

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


def _one_way(graph: AtomGraph) -> Tensor:
    """Indices (E / 2,) of one of the two edges between each pair of atoms or images."""
    first, second = graph.edge_index
    kept = first < second
    own = first == second
    if bool(own.any()):
        # From an atom to its own images: one of the two opposite directions.
        x, y, z = graph.edge_vectors.detach().unbind(1)
        ahead = (x > 0) | ((x == 0) & ((y > 0) | ((y == 0) & (z > 0))))
        kept |= own & ahead
    return kept.nonzero().squeeze(1)
