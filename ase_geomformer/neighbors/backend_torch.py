"""Pairs in plain torch, on any device, for many structures at once: linked cells, O(N).

Periodic images within the cutoff of the atoms are made explicit (ghosts), after which the search
is one among points in open space: atoms and ghosts are sorted into the bins of a Cartesian grid
(Allen and Tildesley, *Computer Simulation of Liquids*, 2nd ed., section 5.3.2). The bins of a
column along z follow one another in memory, so what an atom can reach in a column is one range.

Every pair is found once: among atoms, with the partner that comes later; across the boundary, with
the ghost whose shift is lexicographically positive.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import torch
from torch import Tensor

from ase_geomformer.neighbors.problem import Problem, in_frames, ranges

# Bins per cutoff along x, y and z. Finer bins mean fewer candidates but more columns to visit.
BINS_PER_CUTOFF = (1, 1, 4)
# Candidates measured at once: few on a CPU for the cache's sake, many elsewhere.
CPU_BLOCK, DEVICE_BLOCK = 1 << 15, 1 << 25
# Up to so many bins per point every bin has an entry in a table; beyond, bins are searched for.
TABLE_SIZE = 64


def find_pairs(problem: Problem) -> tuple[Tensor, Tensor, Tensor]:
    """Receivers, senders and shifts of all structures of the problem, each pair once."""
    grid = Grid.of(problem)
    atoms = own_points(problem).sorted_on(grid)
    found = [near_pairs(atoms, atoms, *ranges_among(grid, atoms, problem.cutoff), problem.cutoff)]
    if problem.pbcs.any():
        ghosts = ghost_points(problem).sorted_on(grid)
        across = ranges_across(grid, atoms, ghosts, problem.cutoff)
        found.append(near_pairs(atoms, ghosts, *across, problem.cutoff))
    receivers, senders, shifts = (torch.cat(column) for column in zip(*found, strict=True))
    return receivers, senders, shifts


@dataclass(frozen=True, eq=False)
class Grid:
    """Cartesian bins over the atoms of each structure, with a margin of one cutoff or more.

    Attributes
    ----------
    origin, width : Tensor, shape (B, 3), Å
    counts : Tensor, shape (B, 3), int64
        Bins along each axis.
    base : Tensor, shape (B,), int64
        Number of a structure's first bin.
    total : int
        Bins of all structures.
    """

    origin: Tensor
    width: Tensor
    counts: Tensor
    base: Tensor
    total: int

    @classmethod
    def of(cls, problem: Problem) -> Grid:
        structures = len(problem.cells)
        lower, upper = ranges(problem.positions, problem.batch, structures)
        per_cutoff = lower.new_tensor(BINS_PER_CUTOFF)
        # Atoms light years apart get wider bins, lest the numbers of the bins overflow.
        most = int((2**62 / structures) ** (1 / 3)) - 2 * max(BINS_PER_CUTOFF) - 2
        width = torch.maximum(problem.cutoff / per_cutoff, (upper - lower) / most)
        counts = ((upper - lower) / width + 2 * per_cutoff + 2).to(torch.int64)
        ends = counts.prod(dim=1).cumsum(0)
        return cls(
            origin=lower - (per_cutoff + 0.5) * width,
            width=width,
            counts=counts,
            base=ends - counts.prod(dim=1),
            total=int(ends[-1]),
        )

    def scaled(self, positions: Tensor, batch: Tensor) -> Tensor:
        """Positions (M, 3) in units of bins."""
        return (positions - self.origin[batch]) / self.width[batch]

    def numbers(self, bins: Tensor, batch: Tensor) -> Tensor:
        """Numbers of bins given by their indices (M, 3), int64."""
        counts = self.counts[batch]
        columns = bins[:, 0] * counts[:, 1] + bins[:, 1]
        return self.base[batch] + columns * counts[:, 2] + bins[:, 2]


@dataclass(frozen=True, eq=False)
class Points:
    """Atoms or ghosts: positions, the atom repeated, its structure, and the shift (M, 3)."""

    positions: Tensor
    atoms: Tensor
    batch: Tensor
    shifts: Tensor

    def sorted_on(self, grid: Grid) -> SortedPoints:
        """The points on the grid, in the order of their bins."""
        scaled = grid.scaled(self.positions, self.batch)
        bins = scaled.floor().to(torch.int64)
        inside = ((bins >= 0) & (bins < grid.counts[self.batch])).all(dim=1).nonzero().squeeze(1)
        numbers, order = torch.sort(grid.numbers(bins[inside], self.batch[inside]))
        kept = inside[order]
        return SortedPoints(
            positions=self.positions[kept],
            atoms=self.atoms[kept],
            batch=self.batch[kept],
            shifts=self.shifts[kept],
            scaled=scaled[kept],
            bins=numbers,
            total_bins=grid.total,
        )


@dataclass(frozen=True, eq=False)
class SortedPoints(Points):
    """Points in the order of the number of their bin."""

    scaled: Tensor
    bins: Tensor
    total_bins: int

    @cached_property
    def table(self) -> Tensor | None:
        """Where each bin starts; None for a grid too empty to be written out."""
        if self.total_bins > TABLE_SIZE * (self.bins.shape[0] + TABLE_SIZE):
            return None
        return torch.searchsorted(
            self.bins, torch.arange(self.total_bins + 1, device=self.bins.device)
        )

    def start(self, bins: Tensor) -> Tensor:
        """Index of the first point whose bin has a number not below the given one."""
        return torch.searchsorted(self.bins, bins) if self.table is None else self.table[bins]


def own_points(problem: Problem) -> Points:
    """The atoms themselves."""
    atoms = torch.arange(problem.batch.shape[0], device=problem.batch.device)
    return Points(problem.positions, atoms, problem.batch, torch.zeros_like(problem.wraps))


def ghost_points(problem: Problem) -> Points:
    """Images within the cutoff of the atoms' range along every cell vector, with S > 0."""
    device = problem.positions.device
    margins = torch.from_numpy(problem.margins).to(device)
    lowest, highest = problem.lower - margins, problem.upper + margins
    periodic = torch.from_numpy(problem.pbcs).to(device)
    atoms = torch.arange(problem.batch.shape[0], device=device)
    shifts = problem.wraps.new_zeros((atoms.shape[0], 0))
    for axis in range(3):
        batch, fractions = problem.batch[atoms], problem.fractions[atoms, axis]
        # Once an earlier component is positive, this one may be negative.
        undecided = (shifts == 0).all(dim=1)
        least = (lowest[batch, axis] - fractions).ceil()
        least = torch.where(undecided, least.clamp(min=0), least)
        most = (highest[batch, axis] - fractions).floor()
        copies = torch.where(periodic[batch, axis], most - least + 1, 1).to(torch.int64)
        first = torch.where(periodic[batch, axis], least, 0).to(torch.int64)
        source, rank = expand(copies)
        atoms = atoms[source]
        shifts = torch.cat([shifts[source], (first[source] + rank)[:, None]], dim=1)
    true_images = (shifts != 0).any(dim=1)
    atoms, shifts = atoms[true_images], shifts[true_images]
    batch = problem.batch[atoms]
    offsets = in_frames(shifts.double(), torch.from_numpy(problem.cells).to(device), batch)
    return Points(problem.positions[atoms] + offsets, atoms, batch, shifts)


def expand(counts: Tensor) -> tuple[Tensor, Tensor]:
    """For ``counts[k]`` items of each k: their k, and their rank among the items of k."""
    ends = counts.cumsum(0)
    total = int(ends[-1]) if counts.shape[0] else 0
    index = torch.arange(counts.shape[0], device=counts.device)
    source = torch.repeat_interleave(index, counts, output_size=total)
    return source, torch.arange(total, device=counts.device) - (ends - counts)[source]


def ranges_among(grid: Grid, atoms: SortedPoints, cutoff: float) -> tuple[Tensor, Tensor]:
    """Ranges of atoms that come later than each atom in its own or a later column."""
    start, stop = column_ranges(grid, atoms, atoms, cutoff, later_only=True)
    start[:, 0] = torch.arange(1, start.shape[0] + 1, device=start.device)
    return start, stop


def ranges_across(
    grid: Grid, atoms: SortedPoints, ghosts: SortedPoints, cutoff: float
) -> tuple[Tensor, Tensor]:
    """Ranges of ghosts around each atom."""
    return column_ranges(grid, atoms, ghosts, cutoff, later_only=False)


def column_ranges(
    grid: Grid, atoms: SortedPoints, senders: SortedPoints, cutoff: float, later_only: bool
) -> tuple[Tensor, Tensor]:
    """First sender of each atom in the columns about it, and the end of the range (N, columns).

    A column at distance d in the xy plane is entered for sqrt(cutoff^2 - d^2) up and down.
    ``later_only`` drops the columns before the atom's own, which then comes first.
    """
    device, batch = atoms.batch.device, atoms.batch
    reach_x, reach_y, _ = BINS_PER_CUTOFF
    dx = torch.arange(-reach_x, reach_x + 1, device=device)
    dy = torch.arange(-reach_y, reach_y + 1, device=device)
    columns = torch.cartesian_prod(dx, dy)
    if later_only:
        columns = columns[columns.shape[0] // 2 :]
    bins = atoms.scaled.floor()
    width = grid.width[batch]
    counts = grid.counts[batch]
    free = cutoff * cutoff - (
        squared_gap(atoms.scaled[:, 0], bins[:, 0], width[:, 0], dx)[:, columns[:, 0] + reach_x]
        + squared_gap(atoms.scaled[:, 1], bins[:, 1], width[:, 1], dy)[:, columns[:, 1] + reach_y]
    )
    height = free.clamp(min=0).sqrt_().div_(width[:, 2:3])
    z = atoms.scaled[:, 2:3]
    here = grid.base[batch] + (bins[:, 0].long() * counts[:, 1] + bins[:, 1].long()) * counts[:, 2]
    stride = columns[:, 0] * counts[:, 1:2] + columns[:, 1]
    bottom = here[:, None] + stride * counts[:, 2:3]
    start = senders.start(bottom + (z - height).floor_().long())
    stop = senders.start(bottom + (z + height).floor_().long() + 1)
    return start, torch.where(free >= 0, stop, start)


def squared_gap(scaled: Tensor, bins: Tensor, width: Tensor, steps: Tensor) -> Tensor:
    """Squared distance (N, steps) from atoms to the bins so many steps from their own, Å^2."""
    near_edge = (bins - scaled)[:, None] + steps
    return (torch.maximum(near_edge, -1 - near_edge).clamp_(min=0) * width[:, None]).square_()


def near_pairs(
    atoms: SortedPoints, senders: SortedPoints, start: Tensor, stop: Tensor, cutoff: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Receivers, senders and shifts of the pairs within the cutoff, of ranges (N, columns)."""
    counts = stop - start
    found: list[tuple[Tensor, Tensor]] = []
    for part in blocks(counts.sum(dim=1)):
        here, near = candidates(start[part], counts[part])
        here += part.start
        vectors = senders.positions.index_select(0, near) - atoms.positions.index_select(0, here)
        x, y, z = vectors.unbind(1)
        kept = (x * x + y * y + z * z <= cutoff * cutoff).nonzero().squeeze(1)
        found.append((here.index_select(0, kept), near.index_select(0, kept)))
    here, near = (torch.cat(column) for column in zip(*found, strict=True))
    return atoms.atoms[here], senders.atoms[near], senders.shifts.index_select(0, near)


def candidates(start: Tensor, counts: Tensor) -> tuple[Tensor, Tensor]:
    """Rows and members of the ranges (N, columns) that start there and hold so many."""
    rows = torch.arange(counts.shape[0], device=counts.device)
    here = torch.repeat_interleave(rows, counts.sum(dim=1))
    start, counts = start.flatten(), counts.flatten()
    # A running number less that of the range's first member, plus that member.
    lead = start - (counts.cumsum(0) - counts)
    near = torch.repeat_interleave(lead, counts, output_size=here.shape[0])
    return here, near.add_(torch.arange(here.shape[0], device=here.device))


def blocks(counts: Tensor) -> list[slice]:
    """Slices of the atoms that have about one block of candidates each; one slice at least."""
    size = CPU_BLOCK if counts.device.type == "cpu" else DEVICE_BLOCK
    ends = counts.cumsum(0)
    total = int(ends[-1])
    marks = size * torch.arange(1, max(math.ceil(total / size), 1), device=counts.device)
    cuts = [0, *torch.searchsorted(ends, marks).tolist(), counts.shape[0]]
    return [slice(a, b) for a, b in pairwise(cuts)]
