"""The edges of a neighbour list, their vectors, and which of them are short enough."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

# Edges handled at once on a CPU: their temporaries then stay in the cache.
CHUNK = 32768


@dataclass(frozen=True, eq=False)
class NeighborList:
    """Edges (i, j, S), ordered by i, then j, then S lexicographically.

    Both directions of every pair are present. An atom is joined to its own periodic images, never
    to itself with ``S = 0``; two atoms on one spot are joined by an edge of length zero.

    Attributes
    ----------
    edge_index : Tensor, shape (2, E), int64
        Receivers i in the first row, senders j in the second.
    shifts : Tensor, shape (E, 3), int64
        Lattice shift S of the sender, in whole cell vectors; zero along open axes.
    shifted : bool
        False where all shifts are known to be zero, so that nobody need read them.
    """

    edge_index: Tensor
    shifts: Tensor
    shifted: bool = True

    @property
    def num_edges(self) -> int:
        return self.edge_index.shape[1]

    def vectors(self, positions: Tensor, cell: Tensor, batch: Tensor | None = None) -> Tensor:
        """Edge vectors ``r_j + S @ cell - r_i``, shape (E, 3), Å, differentiable.

        Parameters
        ----------
        positions : Tensor, shape (N, 3), Å
        cell : Tensor, shape (3, 3), Å
            Lattice vectors in rows; or one cell per structure, shape (B, 3, 3), with ``batch``.
        batch : Tensor, shape (N,), int64, optional
            The structure of each atom, for the list of several structures.
        """
        shifts = self.shifts if self.shifted else None
        return edge_vectors(positions, cell, batch, self.edge_index, shifts)

    def within(
        self, positions: Tensor, cell: Tensor, cutoff: float, batch: Tensor | None = None
    ) -> NeighborList:
        """The edges at most ``cutoff`` (Å) long, in the same order."""
        short = [_short(part.vectors(positions, cell, batch), cutoff) for part in self._parts()]
        kept = (short[0] if len(short) == 1 else torch.cat(short)).nonzero().squeeze(1)
        return self if kept.shape[0] == self.num_edges else self.select(kept)

    def measured(self, positions: Tensor, cell: Tensor) -> MeasuredEdges:
        """All edges of a structure with their vectors."""
        return MeasuredEdges(self, self.vectors(positions, cell))

    def measured_within(self, positions: Tensor, cell: Tensor, cutoff: float) -> MeasuredEdges:
        """The edges of a structure at most ``cutoff`` (Å) long, and their vectors."""
        if self.num_edges > CHUNK:
            return self.within(positions, cell, cutoff).measured(positions, cell)
        vectors = self.vectors(positions, cell)
        kept = _short(vectors, cutoff).nonzero().squeeze(1)
        if kept.shape[0] == self.num_edges:
            return MeasuredEdges(self, vectors)
        return MeasuredEdges(self.select(kept), vectors.index_select(0, kept))

    def _parts(self) -> Iterator[NeighborList]:
        """The list in pieces, see :func:`chunks`."""
        if self.num_edges <= CHUNK:
            yield self
            return
        for part in chunks(self.num_edges, self.edge_index.device):
            yield NeighborList(self.edge_index[:, part], self.shifts[part], self.shifted)

    def select(self, kept: Tensor) -> NeighborList:
        """The edges of these indices (K,), in their order."""
        edge_index, shifts = self.edge_index.index_select(1, kept), self.shifts
        # All are zero, and so are the first K.
        shifts = shifts.index_select(0, kept) if self.shifted else shifts[: kept.shape[0]]
        return NeighborList(edge_index, shifts, self.shifted)


class MeasuredEdges(NamedTuple):
    """Edges of a structure with their vectors (E, 3), Å."""

    edges: NeighborList
    vectors: Tensor


def all_edges(num_atoms: int, device: torch.device) -> NeighborList:
    """Both directions of all pairs of atoms, without periodic images."""
    atoms = torch.arange(num_atoms, device=device)
    receivers, senders = torch.cartesian_prod(atoms, atoms).unbind(1)
    index = torch.stack([receivers, senders])[:, receivers != senders]
    return NeighborList(index, index.new_zeros(index.shape[1], 3), shifted=False)


def _short(vectors: Tensor, cutoff: float) -> Tensor:
    """Which vectors (E, 3) are at most ``cutoff`` long."""
    x, y, z = vectors.unbind(1)
    return x * x + y * y + z * z <= cutoff * cutoff


def chunks(edges: int, device: torch.device) -> Iterator[slice]:
    """Slices that cover so many edges; a single one where there is no cache to spare."""
    size = CHUNK if device.type == "cpu" else max(edges, 1)
    return (slice(start, start + size) for start in range(0, edges, size))


def edge_vectors(
    positions: Tensor,
    cell: Tensor,
    batch: Tensor | None,
    edge_index: Tensor,
    shifts: Tensor | None,
) -> Tensor:
    """``r_j + S @ cell - r_i``, the product written out; without it where shifts are None.

    A matrix product may round an edge differently in a longer list. This does not, so whether an
    edge lies within the cutoff never depends on the list it was found in.
    """
    receivers, senders = edge_index.unbind()
    vectors = positions.index_select(0, senders) - positions.index_select(0, receivers)
    if shifts is None:
        return vectors
    if batch is not None:
        cell = cell.index_select(0, batch.index_select(0, receivers))
    steps = shifts.to(positions.dtype)
    for axis, row in enumerate(cell.unbind(-2)):
        vectors += steps[:, axis : axis + 1] * row
    return vectors
