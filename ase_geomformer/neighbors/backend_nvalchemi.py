"""Pairs by nvalchemi-toolkit-ops: the cell list in Warp kernels, for large systems on CUDA."""

from __future__ import annotations

import torch
from torch import Tensor

from ase_geomformer.neighbors.problem import Problem

# Neighbours made room for at first; doubled until no atom has as many as there is room for.
FIRST_GUESS = 128


def find_pairs(problem: Problem) -> tuple[Tensor, Tensor, Tensor]:
    """Receivers, senders and shifts of one structure, both edges of each pair.

    The box is told to be periodic along all axes, as for vesin: images along open axes are beyond
    the cutoff by the making of the box. The number of neighbours is not left to the library's
    estimate from a mean density, which clusters exceed.
    """
    from nvalchemiops.torch.neighbors import NeighborOverflowError, cell_list

    positions, cell = problem.boxed()
    periodic = torch.ones((1, 3), dtype=torch.bool, device=positions.device)
    room = FIRST_GUESS
    while True:
        try:
            pairs, _, shifts = cell_list(
                positions.contiguous(),
                problem.cutoff,
                cell[None],
                periodic,
                max_neighbors=room,
                return_neighbor_list=True,
            )
        except NeighborOverflowError:
            room *= 2
        else:
            break
    open_axes = torch.from_numpy(~problem.pbcs[0]).to(positions.device)
    real = ~shifts[:, open_axes].any(dim=1)
    receivers, senders = pairs[:, real].to(torch.int64).unbind(0)
    return receivers, senders, shifts[real]
