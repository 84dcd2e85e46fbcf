"""Pairs by vesin: the default on a CPU; on CUDA through vesin-torch where installed."""

from __future__ import annotations

import torch
from torch import Tensor

from ase_geomformer.neighbors import backend_torch
from ase_geomformer.neighbors.problem import Problem

# Vesin 0.6.2 dies of a division by zero (SIGFPE) in two cases. Of boxes with too many bins it makes
# bins larger, all axes alike, until an axis has none left: such boxes are not for it. And so do
# some boxes with open axes: it is told that all are periodic, as images along open axes are beyond
# the cutoff by the making of the box.
MANY_BINS = 20_000.0
FEW_BINS = 2.0


def find_pairs(problem: Problem) -> tuple[Tensor, Tensor, Tensor]:
    """Receivers, senders and shifts of one structure, each pair once."""
    on_device = problem.positions.device.type == "cuda"
    return _find_on_device(problem) if on_device else _find_on_host(problem)


def _find_on_host(problem: Problem) -> tuple[Tensor, Tensor, Tensor]:
    from vesin import NeighborList

    positions, cell = problem.boxed()
    if _too_long(cell, problem.cutoff):
        return backend_torch.find_pairs(problem)
    search = NeighborList(cutoff=problem.cutoff, full_list=False, n_threads=torch.get_num_threads())
    pairs, shifts = search.compute(positions.numpy(), cell.numpy(), [True] * 3, "PS")
    real = ~shifts[:, ~problem.pbcs[0]].any(axis=1)
    receivers, senders = torch.from_numpy(pairs[real].view("int64")).unbind(1)
    return receivers, senders, torch.from_numpy(shifts[real])


def _too_long(cell: Tensor, cutoff: float) -> bool:
    """Whether an axis of a box keeps too few bins when there are too many of them in all."""
    heights = 1.0 / torch.linalg.norm(torch.linalg.inv(cell), dim=0)
    bins = (heights / cutoff).floor().clamp(min=1.0)
    kept = (MANY_BINS / bins.prod()) ** (1 / 3)
    return bool(kept < 1.0 and kept * bins.min() < FEW_BINS)


def _find_on_device(problem: Problem) -> tuple[Tensor, Tensor, Tensor]:
    try:
        from vesin_torch import NeighborList
    except ImportError:
        raise ValueError(
            "neighbour backend 'vesin' needs vesin-torch for tensors on CUDA: "
            "pip install ase-geomformer[gpu], or use backend 'torch'"
        ) from None
    positions, cell = problem.boxed()
    periodic = torch.from_numpy(problem.pbcs[0]).to(positions.device)
    search = NeighborList(cutoff=problem.cutoff, full_list=False)
    receivers, senders, shifts = search.compute(positions, cell, periodic, "ijS")
    return receivers, senders, shifts
