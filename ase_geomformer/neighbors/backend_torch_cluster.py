"""Pairs by torch-cluster: open boundaries only."""

from __future__ import annotations

import torch
from torch import Tensor

from ase_geomformer.neighbors.problem import Problem

# Neighbours asked for at first; doubled until no atom has as many as were asked for.
FIRST_GUESS = 128


def find_pairs(problem: Problem) -> tuple[Tensor, Tensor, Tensor]:
    """Receivers, senders and zero shifts of structures without periodic axes.

    torch-cluster keeps an arbitrary few of the neighbours when there are more than it was told to
    expect, and says nothing; so its answer counts only when no atom reached that number.
    """
    if problem.pbcs.any():
        raise ValueError(
            "neighbour backend 'torch-cluster' supports open boundaries only; "
            "use 'auto' for a periodic structure"
        )
    from torch_cluster import radius_graph

    atoms = problem.positions.shape[0]
    limit = min(FIRST_GUESS, atoms)
    while True:
        senders, receivers = radius_graph(
            problem.positions, problem.cutoff, problem.batch, max_num_neighbors=limit
        )
        most = int(torch.bincount(receivers, minlength=1).max())
        if most < limit - 1 or limit >= atoms:
            break
        limit = min(2 * limit, atoms)
    return receivers, senders, senders.new_zeros((senders.shape[0], 3))
