"""Graphs that hold one of the two directions of each edge."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from ase_geomformer.graph.atom_graph import AtomGraph

# Å; components of vectors between images of one atom that are as small come from rounding.
ROUNDING = 1e-6


@dataclass(frozen=True, eq=False)
class PairGraph(AtomGraph):
    """A graph whose edges stand for both directions between two atoms, or images of atoms.

    ``edge_index`` (2, P) and ``edge_vectors`` (P, 3) are of one direction, as those of far pairs
    are; what depends on the distance alone is then computed once.
    """

    is_paired: ClassVar[bool] = True
    has_reverses: ClassVar[bool] = False

    @classmethod
    def of(cls, graph: AtomGraph) -> PairGraph | None:
        """The pairs of a graph; None if not every edge comes with its reverse."""
        pairing = Pairing.of(graph)
        return None if pairing is None else pairing.pairs(graph)

    def both_ways(self) -> AtomGraph:
        """The graph with both directions, first those that are here, then their reverses."""
        return _BothWays(
            **{
                **self.__dict__,
                "edge_index": torch.cat([self.edge_index, self.edge_index.flip(0)], dim=1),
                "edge_vectors": torch.cat([self.edge_vectors, -self.edge_vectors]),
            }
        )


@dataclass(frozen=True, eq=False)
class _BothWays(AtomGraph):
    """A graph whose edges are not ordered by their receivers."""

    in_order: ClassVar[bool] = False


@dataclass(frozen=True, eq=False)
class Pairing:
    """Which edges stand for both directions, of all graphs with the same edges.

    Attributes
    ----------
    edges : Tensor, shape (2, E), int64
        Edge index of those graphs.
    version : int or None
        How often that had been changed in place; None where torch does not count.
    kept : Tensor, shape (P,), int64
    edge_index : Tensor, shape (2, P), int64
    """

    edges: Tensor
    version: int | None
    kept: Tensor
    edge_index: Tensor

    @classmethod
    def of(cls, graph: AtomGraph) -> Pairing | None:
        """That of a graph; None if not every edge comes with its reverse.

        The host reads which edges are kept.
        """
        if not graph.has_reverses:
            return None
        kept = _one_way(graph)
        if 2 * kept.shape[0] != graph.num_edges:  # ghosts of a padded graph
            return None
        edges = graph.edge_index
        return cls(edges, version_of(edges), kept, edges.index_select(1, kept))

    def is_of(self, graph: AtomGraph) -> bool:
        """Whether a graph is known to have these edges, without comparing them."""
        same = graph.edge_index is self.edges and self.version is not None
        return same and self.version == version_of(self.edges)

    def pairs(self, graph: AtomGraph) -> PairGraph:
        """The pairs of a graph with these edges."""
        # Shapes are those that a graph must have; checking them takes longer than this.
        pairs = object.__new__(PairGraph)
        pairs.__dict__.update(graph.__dict__)
        pairs.__dict__.update(
            edge_index=self.edge_index,
            edge_vectors=graph.edge_vectors.index_select(0, self.kept),
        )
        return pairs


def version_of(tensor: Tensor) -> int | None:
    """How often a tensor has been changed in place; None where torch does not count."""
    return None if tensor.is_inference() else tensor._version


def _one_way(graph: AtomGraph) -> Tensor:
    """Indices (P,) of one of the two edges between each pair of atoms or images."""
    first, second = graph.edge_index
    kept = first < second
    own = first == second
    if bool(own.any()):
        # From an atom to its own images: one of the two opposite directions.
        vectors = graph.edge_vectors.detach()
        x, y, z = torch.where(vectors.abs() < ROUNDING, 0.0, vectors.sign()).unbind(1)
        kept |= own & (9.0 * x + 3.0 * y + z > 0.0)
    return kept.nonzero().squeeze(1)
