"""Neighbour lists that are kept from step to step (Verlet, Phys. Rev. 159, 98 (1967))."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ase_geomformer.machine.finite import sum_of_squares
from ase_geomformer.neighbors.edges import MeasuredEdges, NeighborList, all_edges
from ase_geomformer.neighbors.few_edges import FewEdges
from ase_geomformer.neighbors.pairs import pair_list
from ase_geomformer.neighbors.problem import FARTHEST, check_cutoff, complete_cells
from ase_geomformer.neighbors.search import neighbor_list

Vectors = NDArray[np.float64]

# What rounding may add to a distance, relative to the cutoff.
ROUNDING = 1e-9
# Lists kept beside the latest one, and edges in all of them: 40 bytes each.
KEPT_LISTS, KEPT_EDGES = 31, 2**19
# Of a molecule of so many atoms all pairs are kept, which never need to be searched again.
FEW_ATOMS = 24


@dataclass(frozen=True, eq=False)
class Reference:
    """The structure a list was built for, and its edges up to cutoff + skin, or all there are."""

    positions: Vectors
    cell: Vectors
    pbc: NDArray[np.bool_]
    device: torch.device
    candidates: NeighborList
    is_complete: bool

    @cached_property
    def few_edges(self) -> FewEdges:
        """What measures the candidates of a few atoms."""
        return FewEdges(self.candidates)


class VerletList:
    r"""Edges up to ``cutoff + skin``, searched once and reused while none can be missing.

    Each update gives, edge by edge, the list a fresh search would give. The lists of up to 32
    structures are kept, as the images of a path come in turns. Of a molecule of a few atoms all
    pairs are kept, and no search is needed again.

    Let the reference structure have positions X and cell C, the present one x and c, and let
    :math:`F = C^{-1} c` be the deformation between them (open axes completed by unit normals).
    With the part of the motion that the cell does not explain,
    :math:`u_i = x_i - X_i F - \langle x - X F\rangle`, the vector of any pair and shift S is

    .. math:: r = x_j + S c - x_i = (X_j + S C - X_i) F + u_j - u_i = R F + u_j - u_i .

    A pair now within the cutoff therefore had
    :math:`|R| \le \lVert F^{-1}\rVert_2 (\mathrm{cutoff} + u_1 + u_2)`, where :math:`u_1, u_2` are
    the two largest :math:`|u_i|`. As long as this is no more than cutoff + skin, the pair is among
    the candidates. Pure translation and homogeneous strain of the whole structure cost no
    displacement; with a fixed cell this is the familiar u_1 + u_2 <= skin. Atomic numbers play no
    part, and exchanged atoms appear as displaced ones.

    Parameters
    ----------
    cutoff : float, Å
    skin : float, Å
        Zero builds the list anew at every update.
    backend : str
        As in :func:`neighbor_list`.
    half : bool
        Keep each pair once, as :func:`~ase_geomformer.neighbors.pair_list` has them; the cutoff
        may then be infinite.

    Attributes
    ----------
    updates, builds : int
        Lists asked for, and searches done for them.
    """

    def __init__(
        self, cutoff: float, skin: float, backend: str = "auto", *, half: bool = False
    ) -> None:
        if not (math.isfinite(skin) and skin >= 0):
            raise ValueError(f"the skin must be a finite length of 0 Å or more, not {skin}")
        self.cutoff = math.inf if half and cutoff == math.inf else check_cutoff(cutoff)
        self.half = half
        self.skin = float(skin)
        self.backend = backend
        self.updates = 0
        self.builds = 0
        self._references: list[Reference] = []  # the one used last at the end

    def update(
        self, positions: Tensor, cell: Tensor, pbc: Tensor, host: Sequence[Tensor] | None = None
    ) -> NeighborList:
        """The list of the present structure; arguments and errors as in :func:`neighbor_list`.

        The kept list is judged on the host, where a few operations on few atoms take a tenth of
        the time. ``host`` are the same three tensors there, in float64 and without gradients, where
        the caller has them: nothing then waits until a GPU has given them back.
        """
        return self.measure(positions, cell, pbc, host).edges

    def measure(
        self, positions: Tensor, cell: Tensor, pbc: Tensor, host: Sequence[Tensor] | None = None
    ) -> MeasuredEdges:
        """The same with the vectors of the edges, which it takes to tell how long they are."""
        if host is None:
            double = (tensor.detach().to("cpu", torch.float64) for tensor in (positions, cell))
            host = (*double, pbc.detach().cpu())
        place, axes, periodic = (tensor.numpy() for tensor in host)
        self.updates += 1
        reference = self._covering(place, axes, periodic, positions.device)
        if reference is not None and reference.is_complete and positions.is_cpu:
            return reference.few_edges.measured_within(place, self.cutoff)
        positions = positions.detach().to(torch.float64)
        cell = cell.detach().to(positions)
        if reference is None:
            self._references = self._worth_keeping()
            candidates, is_complete = self._search(positions, cell, pbc)
            # Copies: the caller's arrays may change.
            reference = Reference(
                place.copy(),
                axes.copy(),
                periodic.copy(),
                positions.device,
                candidates,
                is_complete,
            )
            self._references.append(reference)
        if self.skin == 0:
            return reference.candidates.measured(positions, cell)
        return reference.candidates.measured_within(positions, cell, self.cutoff)

    def _search(self, positions: Tensor, cell: Tensor, pbc: Tensor) -> tuple[NeighborList, bool]:
        """The candidates of a structure, and whether they are all edges that it can ever have."""
        search = pair_list if self.half else neighbor_list
        found = search(positions, cell, pbc, self.cutoff + self.skin, backend=self.backend)
        self.builds += 1
        atoms = positions.shape[0]
        if self.half or self.skin == 0 or atoms > FEW_ATOMS or bool(pbc.any()):
            return found, False
        return all_edges(atoms, positions.device), True

    def _covering(
        self, positions: Vectors, cell: Vectors, pbc: NDArray[np.bool_], device: torch.device
    ) -> Reference | None:
        """The structure used last, or else longest ago, whose edges contain all of the present."""
        # Structures that come in turns come in the order in which they came before.
        if not self._references:
            return None
        *others, latest = self._references
        if latest.device == device and self._covers(latest, positions, cell, pbc):
            return latest
        for reference in others:
            if reference.device == device and self._covers(reference, positions, cell, pbc):
                self._references.remove(reference)
                self._references.append(reference)
                return reference
        return None

    def _worth_keeping(self) -> list[Reference]:
        """The structures used last, as many as there is room for beside another one."""
        kept: list[Reference] = []
        edges = 0
        for other in reversed(self._references if self.skin else []):
            edges += other.candidates.num_edges
            if len(kept) == KEPT_LISTS or edges > KEPT_EDGES:
                break
            kept.insert(0, other)
        return kept

    def _covers(
        self, reference: Reference, positions: Vectors, cell: Vectors, pbc: NDArray[np.bool_]
    ) -> bool:
        """Whether every edge of the present structure is among the reference's candidates."""
        if (
            self.skin == 0
            or positions.shape != reference.positions.shape
            or pbc.tobytes() != reference.pbc.tobytes()
        ):
            return False
        if reference.is_complete:
            return sum_of_squares(positions) <= FARTHEST**2
        expected, stretch = reference.positions, 1.0
        if not np.array_equal(cell, reference.cell):
            deformation, stretch = deform(reference.cell, cell, pbc)
            expected = expected @ deformation
        moved = positions - expected
        moved -= moved.sum(axis=0) / max(len(moved), 1)
        squares = np.einsum("ij,ij->i", moved, moved)
        farthest = np.partition(squares, -2)[-2:] if len(squares) > 1 else squares
        largest = float(np.sqrt(farthest).sum())
        seen = stretch * (self.cutoff + largest) + ROUNDING * self.cutoff
        return seen <= self.cutoff + self.skin


def deform(before: Vectors, after: Vectors, pbc: NDArray[np.bool_]) -> tuple[Vectors, float]:
    """The map F (3, 3) with ``before @ F = after``, and the 2-norm of its inverse."""
    old, new = complete_cells(np.stack([before, after]), np.tile(pbc, (2, 1)))
    stretch = float(np.linalg.norm(np.linalg.solve(new, old), ord=2))
    return np.linalg.solve(old, new), stretch
