"""Neighbour lists: one function, several backends, one order of the edges, and the Verlet skin."""

from __future__ import annotations

from ase_geomformer.neighbors.edges import MeasuredEdges, NeighborList
from ase_geomformer.neighbors.pairs import batched_pair_list, pair_list
from ase_geomformer.neighbors.search import BACKENDS, batched_neighbor_list, neighbor_list
from ase_geomformer.neighbors.verlet import VerletList

__all__ = [
    "BACKENDS",
    "MeasuredEdges",
    "NeighborList",
    "VerletList",
    "batched_neighbor_list",
    "batched_pair_list",
    "neighbor_list",
    "pair_list",
]
