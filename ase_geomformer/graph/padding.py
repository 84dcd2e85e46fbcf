"""Graphs filled up with ghosts to fixed sizes, so that compiled code sees the same shapes."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ase_geomformer.graph.atom_graph import AXES, AtomGraph


def pad_graph(
    graph: AtomGraph,
    num_atoms: int,
    num_edges: int,
    cutoff: float,
    num_far_pairs: int | None = None,
    num_structures: int | None = None,
) -> AtomGraph:
    """A graph grown to fixed sizes by ghost structures at the end, one when left out.

    Ghost atoms are hydrogens; ghost edges and far pairs are twice as long as ``cutoff`` and join
    the last ghost atom to itself, so that every smooth cutoff silences them, and what is left
    stays with the ghosts. All ghost atoms are in the last structure; ghost structures before it
    are empty, and those of the results are to be dropped. The number of far pairs stays as it is
    when left out.

    Raises
    ------
    ValueError
        If there is not room for at least one ghost atom and one ghost structure, or for the edges
        and pairs present.
    """
    ghost_atoms, ghost_edges = num_atoms - graph.num_atoms, num_edges - graph.num_edges
    ghost_pairs = 0 if num_far_pairs is None else num_far_pairs - graph.num_far_pairs
    added = 1 if num_structures is None else num_structures - graph.num_structures
    if ghost_atoms < 1 or ghost_edges < 0 or ghost_pairs < 0 or added < 1:
        pairs = f", {graph.num_far_pairs} far pairs to {num_far_pairs}" if ghost_pairs else ""
        many = f", {graph.num_structures} structures to {num_structures}" if added < 1 else ""
        raise ValueError(
            f"cannot pad {graph.num_atoms} atoms and {graph.num_edges} edges to "
            f"{num_atoms} atoms (one ghost at least) and {num_edges} edges{pairs}{many}"
        )
    template = ghost_graph(
        graph,
        num_atoms,
        num_edges,
        cutoff,
        graph.num_far_pairs + ghost_pairs,
        graph.num_structures + added,
    )
    return type(graph)(*map(continued, graph.tensors, template.tensors, AXES))


def ghost_graph(
    like: AtomGraph,
    num_atoms: int,
    num_edges: int,
    cutoff: float,
    num_far_pairs: int,
    num_structures: int,
) -> AtomGraph:
    """A graph of nothing but the ghosts of :func:`pad_graph`, of another's dtype and device."""
    device, dtype = like.edge_vectors.device, like.edge_vectors.dtype
    whole: dict[str, Any] = {"dtype": torch.int64, "device": device}
    floating: dict[str, Any] = {"dtype": dtype, "device": device}
    far = torch.tensor([2.0 * cutoff, 0.0, 0.0], **floating)
    return AtomGraph(
        atomic_numbers=torch.ones(num_atoms, **whole),
        edge_index=torch.full((2, num_edges), num_atoms - 1, **whole),
        edge_vectors=far.expand(num_edges, 3),
        batch=torch.full((num_atoms,), num_structures - 1, **whole),
        charge=torch.zeros(num_structures, **floating),
        spin=torch.ones(num_structures, **floating),
        cell=torch.zeros(num_structures, 3, 3, **floating),
        far_index=torch.full((2, num_far_pairs), num_atoms - 1, **whole),
        far_vectors=far.expand(num_far_pairs, 3),
        positions=torch.zeros(num_atoms if like.positions.shape[0] else 0, 3, **floating),
    )


def continued(own: Tensor, rest: Tensor, axis: int) -> Tensor:
    """A tensor continued by what a longer one has beyond its length."""
    length, missing = own.shape[axis], rest.shape[axis] - own.shape[axis]
    return torch.cat([own, rest.narrow(axis, length, missing)], axis) if missing else own
