"""Pairs of atoms, each once, for energies that are the same seen from either atom."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ase_geomformer.machine.memory import total_memory
from ase_geomformer.neighbors.edges import NeighborList
from ase_geomformer.neighbors.problem import BYTES_PER_EDGE
from ase_geomformer.neighbors.search import batched_neighbor_list, neighbor_list

ENDLESS = (
    "the pairs of a periodic structure are infinitely many, and long_range_cutoff=None asks for "
    "all of them: leave it out, so that charges are summed over all images by Ewald's method, or "
    "give a finite one, such as 12 Å"
)


def pair_list(
    positions: Tensor, cell: Tensor, pbc: Tensor, cutoff: float, *, backend: str = "auto"
) -> NeighborList:
    """All pairs of a structure at most ``cutoff`` apart, one of the two edges of each.

    Of the edges that :func:`~ase_geomformer.neighbors.neighbor_list` finds, in the same order,
    those with i < j, and those with i = j whose shift is positive (its first entry that is not
    zero). With an infinite cutoff, all pairs of a structure without periodic boundaries.

    Raises
    ------
    ValueError
        If the cutoff is infinite and the structure periodic, the list could not fit into memory,
        or as in ``neighbor_list``.
    """
    periodic = bool(pbc.any())
    if cutoff == math.inf and periodic:
        raise ValueError(ENDLESS)
    if not periodic and cutoff > _diagonal(positions):
        atoms = positions.shape[0]
        needed = 0.5 * atoms * (atoms - 1) * BYTES_PER_EDGE
        if needed > total_memory(positions.device):
            raise ValueError(
                f"{atoms} atoms make {0.5 * atoms * (atoms - 1):.1e} pairs, some "
                f"{needed / 1e9:.1e} GB: give a smaller long-range cutoff"
            )
        edge_index = torch.triu_indices(atoms, atoms, offset=1, device=positions.device)
        return NeighborList(edge_index, edge_index.new_zeros(edge_index.shape[1], 3), False)
    return _once(neighbor_list(positions, cell, pbc, cutoff, backend=backend))


def batched_pair_list(
    positions: Tensor, cells: Tensor, pbcs: Tensor, batch: Tensor, cutoff: float
) -> NeighborList:
    """The pairs of many structures in one search; arguments as in ``batched_neighbor_list``.

    Raises
    ------
    ValueError
        As :func:`pair_list`.
    """
    if cutoff == math.inf:
        if bool(pbcs.any()):
            raise ValueError(ENDLESS)
        cutoff = _diagonal(positions - positions[torch.searchsorted(batch, batch)])
    return _once(batched_neighbor_list(positions, cells, pbcs, batch, cutoff))


def _once(both: NeighborList) -> NeighborList:
    """One of the two edges of each pair of a list."""
    first, second = both.edge_index
    kept = ((first < second) | ((first == second) & _positive(both.shifts))).nonzero().squeeze(1)
    return both.select(kept)


def _diagonal(positions: Tensor) -> float:
    """Of the box around the atoms, with a hair for rounding: none are further apart."""
    return 1.0 + float((positions.amax(dim=0) - positions.amin(dim=0)).norm())


def _positive(shifts: Tensor) -> Tensor:
    """Whether shifts (E, 3) come after zero in lexicographic order."""
    x, y, z = shifts.unbind(1)
    return (x > 0) | ((x == 0) & ((y > 0) | ((y == 0) & (z > 0))))
