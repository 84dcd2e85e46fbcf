"""Neighbour lists: one function, several backends, one order of the edges, and the Verlet skin."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from vesin import NeighborList as VesinList


@dataclass(frozen=True, eq=False)
class NeighborList:
    """Edges (i, j, S): receivers and senders (2, E) and lattice shifts (E, 3), both int64."""

    edge_index: Tensor
    shifts: Tensor

    def vectors(self, positions: Tensor, cell: Tensor) -> Tensor:
        """Edge vectors r_j + S.cell - r_i, shape (E, 3)."""
        receivers, senders = self.edge_index
        offsets = self.shifts.to(positions.dtype) @ cell
        return positions[senders] - positions[receivers] + offsets


def vesin(positions: Tensor, cell: Tensor, pbc: Tensor, cutoff: float) -> NeighborList:
    search = VesinList(cutoff=cutoff, full_list=True)
    i, j, shifts = search.compute(
        positions.detach().cpu().numpy(), cell.detach().cpu().numpy(), pbc.cpu().numpy(), "ijS"
    )
    i, j, shifts = (torch.from_numpy(a.astype("int64")) for a in (i, j, shifts))
    order = torch.arange(len(i))
    for column in (*shifts.T.flip(0), j, i):
        order = order[torch.argsort(column[order], stable=True)]
    edge_index = torch.stack([i, j])[:, order].to(positions.device)
    return NeighborList(edge_index, shifts[order].to(positions.device))


BACKENDS: dict[str, Callable[[Tensor, Tensor, Tensor, float], NeighborList]] = {"vesin": vesin}


def neighbor_list(
    positions: Tensor, cell: Tensor, pbc: Tensor, cutoff: float, *, backend: str = "auto"
) -> NeighborList:
    """All pairs at most ``cutoff`` apart."""
    return BACKENDS["vesin" if backend == "auto" else backend](positions, cell, pbc, cutoff)


class VerletList:
    """A neighbour list that is reused while no pair can have come within the cutoff unseen."""

    def __init__(self, cutoff: float, skin: float = 0.0, backend: str = "auto") -> None:
        self.cutoff, self.skin, self.backend = cutoff, skin, backend
        self.builds = self.updates = 0

    def update(self, positions: Tensor, cell: Tensor, pbc: Tensor) -> NeighborList:
        """The list of the present structure."""
        self.builds += 1
        self.updates += 1
        return neighbor_list(positions, cell, pbc, self.cutoff, backend=self.backend)
