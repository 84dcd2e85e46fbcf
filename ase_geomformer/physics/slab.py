"""Slabs, periodic in two directions, by the sum over a crystal of slabs far apart.

What slabs do to each other then is, to any precision, the field of the dipole along their normal,
and it is taken off: I.-C. Yeh, M. L. Berkowitz, J. Chem. Phys. 111, 3155 (1999); with a net charge
V. Ballenegger, A. Arnold, J. J. Cerda, J. Chem. Phys. 131, 094107 (2009).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from ase_geomformer.graph.segments import Segments
from ase_geomformer.physics.reciprocal import volumes

# Weight of what slabs do to each other besides.
LEFT_OUT = 1e-9
# Å, steps of the distance between slabs: one that follows the atoms continuously is not needed.
STEP = 10.0


class Stack(NamedTuple):
    """A crystal of slabs.

    Attributes
    ----------
    cell
        Lattice vectors (B, 3, 3) in Å, the open one along the normal.
    heights
        Coordinate of each atom (N,) along the normal in Å, from the middle of its slab.
    spacing
        Distance between slabs (B,) in Å.
    """

    cell: Tensor
    heights: Tensor
    spacing: Tensor


def stacked(positions: Tensor, batch: Tensor, cell: Tensor, axis: int, length: float) -> Stack:
    """Slabs whose lattice vector number ``axis`` is open, stacked with enough room in between.

    Parameters
    ----------
    positions : Tensor, shape (N, 3), Å
    batch : Tensor, shape (N,), int64
    cell : Tensor, shape (B, 3, 3), Å
        The open lattice vector may be anything. Slabs without an area are left as they are.
    axis : int
    length : float
        s of the interaction erf(d / s) / d, Å.
    """
    first, second = cell[:, (axis + 1) % 3], cell[:, (axis + 2) % 3]
    across = torch.linalg.cross(first, second)
    area = across.norm(dim=1)
    flat = area > 0.0
    normal = across / torch.where(flat, area, 1.0)[:, None]
    along = (positions * normal[batch]).sum(dim=1)
    fixed = along.detach()
    ends = fixed.new_full((cell.shape[0],), -math.inf)
    top = ends.scatter_reduce(0, batch, fixed, "amax")
    bottom = -ends.scatter_reduce(0, batch, -fixed, "amax")
    occupied = torch.where(top >= bottom, top - bottom, 0.0)
    # Waves along the slab fade with exp(-G z); the slowest is the shortest reciprocal vector.
    sides = torch.stack([first, second, first + second, first - second], dim=1).norm(dim=2)
    wave = 2.0 * math.pi * sides.amin(dim=1) / torch.where(flat, area, 1.0)
    fading = -math.log(LEFT_OUT) / torch.where(flat, wave, 1.0).detach()
    gap = fading.clamp(min=math.sqrt(-math.log(LEFT_OUT)) * length)
    spacing = ((occupied + gap) / STEP).ceil() * STEP
    rows = [normal * spacing[:, None] if row == axis else cell[:, row] for row in range(3)]
    middle = torch.where(top >= bottom, 0.5 * (top + bottom), 0.0)
    return Stack(torch.stack(rows, dim=1), along - middle[batch], spacing)


def alone(charges: Tensor, batch: Tensor, stack: Stack) -> Tensor:
    """What makes the potentials (N,) in e/Å in a stack of slabs those of slabs on their own.

    Parameters
    ----------
    charges : Tensor, shape (N,), e
    batch : Tensor, shape (N,), int64
    stack : Stack
    """
    heights, number = stack.heights, stack.cell.shape[0]
    structures = Segments.of(batch, number, in_order=True)
    area = volumes(stack.cell) / stack.spacing
    there = area > 0.0
    volume = torch.where(there, area, 1.0) * stack.spacing
    net = structures.sum(charges)
    dipole = structures.sum(charges * heights)
    spread = structures.sum(charges * heights * heights)
    constant = 0.5 * spread + net * stack.spacing.square() / 12.0
    felt = dipole[batch] * heights - 0.5 * net[batch] * heights * heights - constant[batch]
    return 4.0 * math.pi * (felt * torch.where(there, 1.0 / volume, 0.0)[batch])
