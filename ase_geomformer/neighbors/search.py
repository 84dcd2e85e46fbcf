"""The neighbour list of one structure or many, by one of several backends."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib.util import find_spec

import torch
from torch import Tensor

from ase_geomformer.neighbors import (
    backend_matscipy,
    backend_nvalchemi,
    backend_torch,
    backend_torch_cluster,
    backend_vesin,
)
from ase_geomformer.neighbors.edges import NeighborList, chunks
from ase_geomformer.neighbors.order import EdgeOrder
from ase_geomformer.neighbors.problem import Problem, pose

Pairs = tuple[Tensor, Tensor, Tensor]


@dataclass(frozen=True)
class Backend:
    """A way to find pairs.

    Attributes
    ----------
    find : callable
        Receivers (E,), senders (E,) and shifts (E, 3) of a :class:`Problem`, in any order, on the
        problem's device; every edge within the problem's cutoff, and perhaps some longer ones.
    half : bool
        Whether it finds one of the two edges of each pair, or both.
    module : str
        What must be importable.
    install : str
        What to give to pip where it is not.
    """

    find: Callable[[Problem], Pairs]
    half: bool
    module: str
    install: str

    @property
    def available(self) -> bool:
        return find_spec(self.module) is not None


BACKENDS: dict[str, Backend] = {
    "vesin": Backend(backend_vesin.find_pairs, True, "vesin", "vesin"),
    "torch": Backend(backend_torch.find_pairs, True, "torch", "torch"),
    "matscipy": Backend(backend_matscipy.find_pairs, False, "matscipy", "matscipy"),
    "nvalchemi": Backend(
        backend_nvalchemi.find_pairs, False, "nvalchemiops", "nvalchemi-toolkit-ops"
    ),
    "torch-cluster": Backend(
        backend_torch_cluster.find_pairs,
        False,
        "torch_cluster",
        "--no-build-isolation ase-geomformer[cluster]",
    ),
}


def neighbor_list(
    positions: Tensor, cell: Tensor, pbc: Tensor, cutoff: float, *, backend: str = "auto"
) -> NeighborList:
    """All edges of a structure at most ``cutoff`` long, in canonical order.

    The result is the same, edge by edge, from every backend, and wherever in space and however far
    outside the cell the atoms lie. Cells may be triclinic, left-handed, skewed or smaller than the
    cutoff; vectors along open axes are not read.

    Parameters
    ----------
    positions : Tensor, shape (N, 3), Å
        On any device, where the list will be too; the search runs in float64.
    cell : Tensor, shape (3, 3), Å
        Lattice vectors in rows.
    pbc : Tensor, shape (3,), bool
    cutoff : float, Å
        Edges have ``|r_j + S @ cell - r_i| <= cutoff``.
    backend : str
        A name in ``BACKENDS``, or "auto": vesin for tensors on a CPU, torch elsewhere.

    Raises
    ------
    ValueError
        If the cutoff is not positive and finite, a position is not finite, a periodic axis has no
        length or the periodic cell no volume, the backend is unknown, not installed or without
        periodic boundaries, or the list could not fit into memory.
    """
    batch = torch.zeros(positions.shape[0], dtype=torch.int64, device=positions.device)
    chosen = choose(backend, positions.device)
    return solve(positions, cell[None], pbc[None], batch, cutoff, chosen)


def batched_neighbor_list(
    positions: Tensor, cells: Tensor, pbcs: Tensor, batch: Tensor, cutoff: float
) -> NeighborList:
    """The lists of many structures in one search by the torch backend.

    Parameters
    ----------
    positions : Tensor, shape (N, 3), Å
        Atoms of all structures.
    cells : Tensor, shape (B, 3, 3), Å
    pbcs : Tensor, shape (B, 3), bool
    batch : Tensor, shape (N,), int64
        The structure of each atom, not decreasing.
    cutoff : float, Å

    Returns
    -------
    NeighborList
        Indices count the atoms of the whole batch; otherwise what :func:`neighbor_list` gives for
        each structure, one after the other.

    Raises
    ------
    ValueError
        As :func:`neighbor_list`, and if ``batch`` decreases or names a structure without a cell.
    """
    last = len(cells) - 1
    if batch.shape[0] and bool((batch.diff() < 0).any() | (batch[0] < 0) | (batch[-1] > last)):
        raise ValueError(f"batch must not decrease, and lie within 0 ... {last}")
    return solve(positions, cells, pbcs, batch, cutoff, BACKENDS["torch"])


def choose(name: str, device: torch.device) -> Backend:
    """The backend of that name, refused where unknown or not installed."""
    if name == "auto":
        name = "vesin" if device.type == "cpu" and BACKENDS["vesin"].available else "torch"
    if name in BACKENDS and BACKENDS[name].available:
        return BACKENDS[name]
    ready = ", ".join(key for key, backend in BACKENDS.items() if backend.available)
    missing = "".join(
        f"; {key} after: pip install {backend.install}"
        for key, backend in BACKENDS.items()
        if not backend.available
    )
    fault = "not installed" if name in BACKENDS else "unknown"
    raise ValueError(f"neighbour backend {name!r} is {fault}; available: auto, {ready}{missing}")


def solve(
    positions: Tensor, cells: Tensor, pbcs: Tensor, batch: Tensor, cutoff: float, backend: Backend
) -> NeighborList:
    """Pose the problem, find the pairs, put them in order, measure them on the true positions."""
    positions = positions.detach().to(torch.float64)
    cells = cells.detach().to(positions)
    if positions.shape[0] == 0:
        empty = batch.new_zeros((0, 3), dtype=torch.int64)
        return NeighborList(empty.new_zeros((2, 0)), empty, shifted=False)
    problem = pose(positions, cells, pbcs, batch, cutoff)
    order = EdgeOrder(positions.shape[0], problem.reach)
    # Between wrapped and true shifts lies a constant for each (i, j): the order is the same.
    edges = order.sort(*backend.find(problem), mirror=backend.half)
    edges = replace(edges, shifted=bool(problem.pbcs.any()))
    if bool(problem.wraps.any()):
        for part in chunks(edges.num_edges, positions.device):
            receivers, senders = edges.edge_index[:, part]
            edges.shifts[part] += problem.wraps.index_select(0, receivers)
            edges.shifts[part] -= problem.wraps.index_select(0, senders)
    if cells.shape[0] == 1:
        return edges.within(positions, cells[0], cutoff)
    return edges.within(positions, cells, cutoff, batch)
