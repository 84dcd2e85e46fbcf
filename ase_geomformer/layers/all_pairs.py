"""Attention among all atoms of a structure reads its far pairs as edges."""

from __future__ import annotations

import torch
from torch import Tensor

from ase_geomformer.graph.atom_graph import AtomGraph
from ase_geomformer.graph.segments import Segments


def both_ways(graph: AtomGraph) -> tuple[tuple[Segments, Segments], Tensor]:
    """Receivers and senders and vectors (2 P, 3) of all pairs, from either atom to the other."""
    first, second = graph.far_index
    ends = torch.cat([first, second]), torch.cat([second, first])
    receivers, senders = (Segments.of(end, graph.num_atoms) for end in ends)
    return (receivers, senders), torch.cat([graph.far_vectors, -graph.far_vectors])
