"""Pairs by matscipy, on the CPU."""

from __future__ import annotations

import torch
from torch import Tensor

from ase_geomformer.neighbors.problem import Problem


def find_pairs(problem: Problem) -> tuple[Tensor, Tensor, Tensor]:
    """Receivers, senders and shifts of one structure."""
    from matscipy.neighbours import neighbour_list

    positions, cell = problem.boxed()
    device = positions.device
    found = neighbour_list(
        "ijS",
        cutoff=problem.cutoff,
        positions=positions.cpu().numpy(),
        cell=cell.cpu().numpy(),
        pbc=problem.pbcs[0],
    )
    receivers, senders, shifts = (
        torch.from_numpy(array).to(device, torch.int64) for array in found
    )
    return receivers, senders, shifts
