"""The neighbour problem, checked and brought to the form every backend can solve.

Positions are wrapped along the periodic axes and counted from the structure's first atom along
the open ones, which get a unit vector normal to the periodic ones. What the caller gave on an
open axis (a zero vector, a box, a vector in the plane of a slab) plays no part, and neither does
the distance of a molecule from the origin.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ase_geomformer.machine.memory import total_memory

# Volume of a cell over the product of its edges: below this its vectors lie in a plane or a line.
FLATTEST = 1e-9
# Peak memory per edge while a list is searched and sorted, bytes (measured: 102 to 109).
BYTES_PER_EDGE = 110
# Å. Beyond, coordinates are off by 1e-3 Å and more, and at 1e18 Å numbers of cells overflow.
FARTHEST = 1e13
# Measure of the unit ball in 0, 1, 2 and 3 dimensions.
UNIT_BALL = np.array([1.0, 2.0, math.pi, 4.0 / 3.0 * math.pi])


@dataclass(frozen=True, eq=False)
class Problem:
    """N atoms in B structures, ready for a backend.

    Attributes
    ----------
    positions : Tensor, shape (N, 3), float64, Å
        Wrapped along periodic axes, moved to the origin along open ones.
    batch : Tensor, shape (N,), int64
    fractions : Tensor, shape (N, 3)
        Wrapped positions along the completed cell vectors.
    wraps : Tensor, shape (N, 3), int64
        Whole cell vectors taken off the caller's positions.
    cells, pbcs, margins : arrays, shape (B, 3, 3), (B, 3), (B, 3)
        Completed cells, periodic axes, and the cutoff over the distance between opposite faces
        (zero along open axes); on the host.
    lower, upper : Tensor, shape (B, 3)
        Range of the fractions in each structure.
    cutoff : float, Å
        The caller's cutoff and a hair more: the last word on an edge is spoken on the caller's own
        positions, by :meth:`NeighborList.within`.
    reach : tuple of three ints
        The largest shift that can occur along each axis.
    """

    positions: Tensor
    batch: Tensor
    fractions: Tensor
    wraps: Tensor
    cells: NDArray[np.float64]
    pbcs: NDArray[np.bool_]
    margins: NDArray[np.float64]
    lower: Tensor
    upper: Tensor
    cutoff: float
    reach: tuple[int, int, int]

    def boxed(self) -> tuple[Tensor, Tensor]:
        """Positions (N, 3) and a cell (3, 3) that holds them also along open axes.

        For backends that treat one structure and want a true box. Gaps too wide to be bridged are
        narrowed, so that fragments far apart do not make a box of empty bins.
        """
        device = self.positions.device
        positions, cell = self.positions.clone(), torch.from_numpy(self.cells[0]).to(device)
        rows = list(cell)
        for axis in np.flatnonzero(~self.pbcs[0]):
            heights, order = torch.sort(self.fractions[:, axis])
            excess = (heights.diff(prepend=heights[:1]) - 2 * self.cutoff).clamp(min=0).cumsum(0)
            positions[order] -= (heights[0] + excess)[:, None] * cell[axis]
            rows[axis] = cell[axis] * (heights[-1] - heights[0] - excess[-1] + self.cutoff)
        return positions, torch.stack(rows)


def pose(positions: Tensor, cells: Tensor, pbcs: Tensor, batch: Tensor, cutoff: float) -> Problem:
    """The problem of structures given by positions (N, 3), cells (B, 3, 3) and pbcs (B, 3).

    Raises
    ------
    ValueError
        If the cutoff, a position or a cell is unusable, or the list could not fit into memory.
    """
    check_shapes(positions, cells, pbcs, batch)
    cutoff = check_cutoff(cutoff)
    largest = check_positions(positions)
    host_cells = cells.detach().to("cpu", torch.float64).numpy()
    host_pbcs = pbcs.detach().cpu().numpy().astype(bool)
    completed = complete_cells(host_cells, host_pbcs)
    inverses = np.linalg.inv(completed)
    heights = 1.0 / np.linalg.norm(inverses, axis=1)
    # Wrapping rounds at the scale of the coordinates.
    padded = cutoff * (1 + 1e-9) + 1e-12 * (largest + float(np.abs(host_cells).max()))
    margins = np.where(host_pbcs, padded / heights, 0.0)

    device = positions.device
    frames = torch.from_numpy(completed).to(device)
    fractions = in_frames(positions, torch.from_numpy(inverses).to(device), batch)
    first = torch.searchsorted(batch, torch.arange(len(completed), device=device))
    origin = fractions[first.clamp(max=positions.shape[0] - 1)][batch]
    periodic = torch.from_numpy(host_pbcs).to(device)[batch]
    taken = torch.where(periodic, fractions.floor(), origin)
    fractions = fractions - taken
    lower, upper = ranges(fractions, batch, len(completed))
    counts = torch.bincount(batch, minlength=len(completed)).cpu().numpy()
    extents = (upper - lower).cpu().numpy()
    check_size(host_cells, host_pbcs, completed, margins, counts, extents, cutoff, device)
    return Problem(
        positions=positions - in_frames(taken, frames, batch),
        batch=batch,
        fractions=fractions,
        wraps=torch.where(periodic, taken, 0.0).to(torch.int64),
        cells=completed,
        pbcs=host_pbcs,
        margins=margins,
        lower=lower,
        upper=upper,
        cutoff=padded,
        # Fractions differ by less than 1, so a shift is less than the margin and 1.
        reach=tuple(np.ceil(margins).max(axis=0).astype(int).tolist()),
    )


def in_frames(vectors: Tensor, frames: Tensor, batch: Tensor) -> Tensor:
    """Vectors (N, 3) times the frame (B, 3, 3) of their structure."""
    if frames.shape[0] == 1:
        return vectors @ frames[0]
    return torch.einsum("na,nab->nb", vectors, frames[batch])


def ranges(values: Tensor, batch: Tensor, structures: int) -> tuple[Tensor, Tensor]:
    """Least and greatest of values (N, 3) in each structure, (B, 3); zero where it is empty."""
    if structures == 1:
        return values.amin(0, keepdim=True), values.amax(0, keepdim=True)
    index = batch[:, None].expand_as(values)
    empty = values.new_zeros((structures, 3))
    lower = empty.scatter_reduce(0, index, values, "amin", include_self=False)
    upper = empty.scatter_reduce(0, index, values, "amax", include_self=False)
    return lower, upper


def complete_cells(cells: NDArray[np.float64], pbcs: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Cells (B, 3, 3) whose open axes are unit vectors normal to the periodic ones.

    The determinant is then the length, area or volume of what repeats.

    Raises
    ------
    ValueError
        If the periodic vectors of a cell are not finite, longer than 1e13 Å, or span no length,
        area or volume.
    """
    finite = np.asarray((np.abs(cells) <= FARTHEST).all(axis=(1, 2)))
    completed = np.where(pbcs[:, :, None] & finite[:, None, None], cells, 0.0)
    dimensions = pbcs.sum(axis=1)
    completed[dimensions == 0] = np.eye(3)
    partly = bool(((dimensions == 1) | (dimensions == 2)).any())
    for axis in range(3) if partly else ():
        following, last = (axis + 1) % 3, (axis + 2) % 3
        wire = (dimensions == 1) & pbcs[:, axis]
        along = completed[wire, axis]
        aside = np.cross(np.eye(3)[np.abs(along).argmin(axis=1)], along)
        completed[wire, following] = unit(aside)
        completed[wire, last] = unit(np.cross(along, aside))
        slab = (dimensions == 2) & ~pbcs[:, axis]
        normal = np.cross(completed[slab, following], completed[slab, last])
        completed[slab, axis] = unit(normal)
    edges = np.linalg.norm(completed, axis=2).prod(axis=1)
    flat = np.flatnonzero(~finite | (np.abs(np.linalg.det(completed)) <= FLATTEST * edges))
    if flat.size:
        where = int(flat[0])
        periodic = ", ".join(name for name, on in zip("abc", pbcs[where], strict=True) if on)
        raise ValueError(
            f"the cell {cells[where].tolist()} cannot be repeated along its periodic axes "
            f"({periodic or 'none'}): a vector is zero or longer than {FARTHEST:.0e} Å, or they "
            "lie in one line or plane; correct the cell or switch off pbc there"
        )
    return completed


def unit(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    """Vectors (M, 3) at length one; a zero vector stays, for the caller to refuse."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.divide(vectors, lengths, out=np.zeros_like(vectors), where=lengths > 0)


def check_shapes(positions: Tensor, cells: Tensor, pbcs: Tensor, batch: Tensor) -> None:
    """Refuse tensors whose shapes do not belong together."""
    atoms, structures = positions.shape[0], cells.shape[0]
    expected = {
        "positions": (positions, (atoms, 3)),
        "cell": (cells, (structures, 3, 3)),
        "pbc": (pbcs, (structures, 3)),
        "batch": (batch, (atoms,)),
    }
    for name, (tensor, shape) in expected.items():
        if tensor.shape != shape:
            raise ValueError(f"{name} has shape {tuple(tensor.shape)}, expected {shape}")


def check_cutoff(cutoff: float) -> float:
    """The cutoff as a float, refused unless finite and positive."""
    if not (math.isfinite(cutoff) and cutoff > 0):
        raise ValueError(f"the cutoff must be a finite length above 0 Å, not {cutoff}")
    return float(cutoff)


def check_positions(positions: Tensor) -> float:
    """The largest coordinate of positions (N, 3), refused if NaN, infinite or without end."""
    largest = float(positions.abs().max())
    if FARTHEST < largest < math.inf:
        atom = int(positions.abs().amax(dim=1).argmax())
        raise ValueError(
            f"atom {atom} is {largest:.3g} Å away from the origin, more than {FARTHEST:.0e} Å; "
            "look at the structure (its unit is Å) or at the step that produced it"
        )
    if not math.isfinite(largest):
        bad = (~positions.isfinite().all(dim=1)).nonzero().flatten().tolist()
        where = ", ".join(str(index) for index in bad[:5])
        raise ValueError(
            f"{len(bad)} of {positions.shape[0]} atoms have a NaN or infinite position "
            f"(index {where}); look at the structure or at the step that produced it"
        )
    return largest


def check_size(
    cells: NDArray[np.float64],
    pbcs: NDArray[np.bool_],
    completed: NDArray[np.float64],
    margins: NDArray[np.float64],
    counts: NDArray[np.int64],
    extents: NDArray[np.float64],
    cutoff: float,
    device: torch.device,
) -> None:
    """Refuse a list that could not fit into the memory of the device.

    Edges are predicted for atoms spread evenly: N^2 times the images of one atom in the cutoff
    sphere (or disc, or line), thinned along open axes longer than the sphere is wide.
    """
    dimensions = pbcs.sum(axis=1)
    images_in_ball = UNIT_BALL[dimensions] * cutoff**dimensions / np.abs(np.linalg.det(completed))
    open_share = np.minimum(1.0, 2 * cutoff / np.maximum(extents, 1e-300))
    thinning = np.where(pbcs, 1.0, open_share).prod(axis=1)
    edges = counts.astype(float) ** 2 * images_in_ball * thinning
    copies = (1 + 2 * margins).prod(axis=1)
    needed = np.maximum(edges, counts * copies) * BYTES_PER_EDGE
    memory = total_memory(device)
    if needed.sum() > memory:
        worst = int(needed.argmax())
        raise ValueError(
            f"a cutoff of {cutoff:g} Å on {counts[worst]} atoms in the cell "
            f"{cells[worst].tolist()} means about {edges[worst]:.1e} edges and "
            f"{copies[worst]:.1e} periodic images, some {needed.sum() / 1e9:.1e} GB; the device "
            f"has {memory / 1e9:.0f} GB. Look at the cell (its unit is Å) or take a smaller cutoff"
        )
