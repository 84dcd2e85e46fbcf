"""Pairs by vesin: the default on a CPU; on CUDA through vesin-torch where installed."""

from __future__ import annotations

import torch
from torch import Tensor

from ase_geomformer.neighbors import backend_torch
from ase_geomformer.neighbors.problem import Problem

# Of boxes with more bins than this vesin makes bins larger, all axes alike, and dies of a division
# by zero (SIGFPE, seen with 0.6.2) where an axis has none left: such long boxes are not for it.
MANY_BINS = 20_000
FEW_BINS = 8


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
    pairs, shifts = search.compute(positions.numpy(), cell.numpy(), problem.pbcs[0], "PS")
    receivers, senders = torch.from_numpy(pairs.view("int64")).unbind(1)
    return receivers, senders, torch.from_numpy(shifts)


def _too_long(cell: Tensor, cutoff: float) -> bool:
    """Whether a box has very many bins along one axis and few along another."""
    heights = 1.0 / torch.linalg.norm(torch.linalg.inv(cell), dim=0)
    bins = (heights / cutoff).floor().clamp(min=1.0)
    return bool(bins.prod() > MANY_BINS and bins.min() < FEW_BINS)


def _find_on_device(problem: Problem) -> tuple[Tensor, Tensor, Tensor]:
    try:
        from vesin_torch import NeighborList
    except ImportError:
        raise ValueError(
            "neighbour backend 'vesin' needs vesin-torch for tensors on CUDA: "
            "pip install ase-geomformer[gpu], or take backend 'torch'"
        ) from None
    positions, cell = problem.boxed()
    periodic = torch.from_numpy(problem.pbcs[0]).to(positions.device)
    search = NeighborList(cutoff=problem.cutoff, full_list=False)
    receivers, senders, shifts = search.compute(positions, cell, periodic, "ijS")
    return receivers, senders, shifts
