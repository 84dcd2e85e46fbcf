"""Frames whose polar axis is the edge, in which what is equivariant becomes sparse.

Passaro and Zitnick, "Reducing SO(3) Convolutions to SO(2)" (ICML 2023): with the edge on the polar
axis, only rotations about it are left, and they mix no more than the components m and -m.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor, nn

from ase_geomformer.architectures.est.degree_linear import by_degree
from ase_geomformer.architectures.est.written_frames import FrameConstants, WrittenFrames
from ase_geomformer.layers.edges import Edges
from ase_geomformer.layers.harmonics import SphericalHarmonics

CLOSE = 0.8  # cosine of an angle that common lattices do not have


@dataclass(frozen=True, kw_only=True)
class FramedEdges(Edges):
    """Edges with the matrices of :class:`EdgeFrames`, one tensor for each degree from one on.

    Or all of them joined in one, see :meth:`EdgeFrames.joined`.
    """

    rotations: tuple[Tensor, ...] | Tensor


def frame_axes(directions: Tensor) -> Tensor:
    """Rotation matrices (E, 3, 3) that take unit vectors (E, 3) to the z axis.

    The turn about the edge is arbitrary, and nothing may depend on it: the x axis of the frame
    leans towards z of the laboratory, or towards x for edges close to z, so that the frame never
    degenerates and is smooth on either side of where it changes.
    """
    lean = _lean(directions)
    overlap = (lean * directions).sum(dim=-1, keepdim=True)
    first = (lean - overlap * directions) * torch.rsqrt(1.0 - overlap * overlap)
    return torch.stack([first, torch.linalg.cross(directions, first), directions], dim=1)


def _lean(directions: Tensor) -> Tensor:
    """The axes (E, 3) of the laboratory towards which the x axes of frames lean."""
    x_axis, _, z_axis = torch.eye(3, dtype=directions.dtype, device=directions.device)
    return torch.where(directions[:, 2:].abs() > CLOSE, x_axis, z_axis)


class EdgeFrames(nn.Module):
    """Matrices (E, K, 2l+1) that turn features of each degree l >= 1 into the frames of edges.

    They are the rows of Wigner's D with |m| <= mmax, in the order 0, 1, -1, 2, -2, ... As Y(R p) =
    D(R) Y(p) at any points p, D follows from the harmonics of a few turned points, without angles,
    and is a polynomial of the frame: smooth, and differentiable as often as wanted.

    Parameters
    ----------
    lmax : int
        Highest degree L.
    mmax : int
        Highest order |m| that is kept.
    """

    points: Tensor

    def __init__(self, lmax: int, mmax: int) -> None:
        super().__init__()
        self.degrees = range(1, lmax + 1)
        self.harmonics = SphericalHarmonics(range(lmax + 1))
        points, inverses = _points_and_inverses(lmax)
        self.register_buffer("points", points, persistent=False)
        for l in self.degrees:
            kept = torch.tensor([l + m for m in signed_orders(min(l, mmax))])
            self.register_buffer(f"inverse_{l}", inverses[l], persistent=False)
            self.register_buffer(f"kept_{l}", kept, persistent=False)
        rows = ordered_rows(lmax, mmax)
        self.constants = FrameConstants(lmax, rows)
        # Rows as ``forward`` has them, degree by degree.
        found = [(l, m) for l in range(lmax + 1) for m in signed_orders(min(l, mmax))]
        order = torch.tensor([found.index(row) for row in rows])
        self.register_buffer("order", order, persistent=False)

    order: Tensor

    def forward(self, directions: Tensor) -> tuple[Tensor, ...]:
        """Unit vectors (E, 3) to the matrices of the degrees 1 .. L."""
        turned = torch.einsum("eab,kb->eka", frame_axes(directions), self.points)
        values = self.harmonics(turned.flatten(0, 1)).unflatten(0, (-1, len(self.points)))
        _, *parts = values.split([2 * l + 1 for l in (0, *self.degrees)], dim=2)
        return tuple(
            part.index_select(2, getattr(self, f"kept_{l}")).mT @ getattr(self, f"inverse_{l}")
            for l, part in zip(self.degrees, parts, strict=True)
        )

    def joined(self, directions: Tensor) -> Tensor:
        """Unit vectors (E, 3) to one matrix (E, K, (L+1)^2), rows as of :func:`ordered_rows`."""
        written = WrittenFrames(frame_axes, _lean, self._join, self.constants)
        (matrix,) = written(directions)
        return matrix

    def _join(self, directions: Tensor) -> Tensor:
        unit = directions.new_ones(directions.shape[0], 1, 1)
        last = len(self.degrees)
        blocks = [
            nn.functional.pad(block, (l * l, (last + 1) ** 2 - (l + 1) ** 2))
            for l, block in enumerate((unit, *self(directions)))
        ]
        return torch.cat(blocks, dim=1).index_select(1, self.order)


def divided(matrix: Tensor, lmax: int, mmax: int) -> tuple[Tensor, ...]:
    """A matrix of :meth:`EdgeFrames.joined` to those of the degrees 1 .. L."""
    rows = ordered_rows(lmax, mmax)
    orders = [[rows.index((l, m)) for m in signed_orders(min(l, mmax))] for l in range(lmax + 1)]
    return tuple(matrix[:, orders[l], l * l : (l + 1) ** 2] for l in range(1, lmax + 1))


def ordered_rows(lmax: int, mmax: int) -> list[tuple[int, int]]:
    """Degree and order of the components in frames as :func:`to_frames` has them in its blocks."""
    return [
        (l, sign * m)
        for m in range(mmax + 1)
        for sign in ((1, -1) if m else (1,))
        for l in range(m, lmax + 1)
    ]


def signed_orders(mmax: int) -> list[int]:
    """The orders 0, 1, -1, 2, -2, ... up to ``mmax``."""
    return sorted(range(-mmax, mmax + 1), key=lambda m: (abs(m), -m))


def to_frames(features: Tensor, rotations: Sequence[Tensor]) -> list[Tensor]:
    """Features (E, (L+1)^2, C) in the frames of their edges, as one block for each order.

    The block of order zero is (E, 1, L+1, C). That of order m > 0 is (E, 2, L-m+1, C), +m and -m.
    """
    scalars, *parts = by_degree(features)
    blocks = [[scalars]]
    for rotation, part in zip(rotations, parts, strict=True):
        turned = torch.bmm(rotation, part)
        orders = turned.split([1, *([2] * (turned.shape[1] // 2))], dim=1)
        blocks += [[] for _ in orders[len(blocks) :]]
        for block, rows in zip(blocks, orders, strict=False):
            block.append(rows)
    return [torch.stack(block, dim=2) for block in blocks]


def from_frames(blocks: Sequence[Tensor], rotations: Sequence[Tensor]) -> Tensor:
    """Blocks of :func:`to_frames` turned back to the laboratory: (E, (L+1)^2, C)."""
    (scalars, *of_zero), *further = (block.unbind(2) for block in blocks)
    parts = [scalars]
    for l, rotation in enumerate(rotations, start=1):
        rows = [of_zero[l - 1], *(rows[l - m] for m, rows in enumerate(further[:l], start=1))]
        parts.append(torch.bmm(rotation.mT, torch.cat(rows, dim=1)))
    return torch.cat(parts, dim=1)


@lru_cache(maxsize=8)
def _points_and_inverses(lmax: int) -> tuple[Tensor, list[Tensor]]:
    """Points (K, 3), and for each degree what Y(p) (2l+1, K) is undone by from the right.

    The points are a spiral on one half of the sphere, as opposite points tell the same.
    """
    number = 3 * lmax + 1
    steps = np.arange(number)
    heights = 1.0 - (steps + 0.5) / number
    azimuths = steps * np.pi * (3.0 - 5.0**0.5)
    radii = np.sqrt(1.0 - heights**2)
    points = np.stack([radii * np.cos(azimuths), radii * np.sin(azimuths), heights], axis=1)
    values = SphericalHarmonics(range(lmax + 1))(torch.tensor(points))
    blocks = [values[:, l * l : (l + 1) ** 2].T for l in range(lmax + 1)]
    return torch.tensor(points), [torch.linalg.pinv(block) for block in blocks]
