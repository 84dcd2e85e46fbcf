"""Frames whose polar axis is the edge, in which what is equivariant becomes sparse.

Passaro and Zitnick, "Reducing SO(3) Convolutions to SO(2)" (ICML 2023): with the edge on the polar
axis, only rotations about it are left, and they mix no more than the components m and -m.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor, nn

from ase_geomformer.layers.attention import Edges
from ase_geomformer.layers.harmonics import SphericalHarmonics

CLOSE = 0.8  # cosine of an angle that common lattices do not have


@dataclass(frozen=True)
class FramedEdges(Edges):
    """Edges with the matrices ``rotations`` (E, R, (L+1)^2) of :class:`EdgeFrames`."""

    rotations: Tensor


def frame_axes(directions: Tensor) -> Tensor:
    """Rotation matrices (E, 3, 3) that take unit vectors (E, 3) to the z axis.

    The turn about the edge is arbitrary, and nothing may depend on it: the x axis of the frame
    leans towards z of the laboratory, or towards x for edges close to z, so that the frame never
    degenerates and is smooth on either side of where it changes.
    """
    x_axis, _, z_axis = torch.eye(3, dtype=directions.dtype, device=directions.device)
    lean = torch.where(directions[:, 2:].abs() > CLOSE, x_axis, z_axis)
    overlap = (lean * directions).sum(dim=-1, keepdim=True)
    first = (lean - overlap * directions) * torch.rsqrt(1.0 - overlap * overlap)
    return torch.stack([first, torch.linalg.cross(directions, first), directions], dim=1)


def frame_components(lmax: int, mmax: int) -> list[int]:
    """Components of degrees 0 .. lmax that frames keep, ordered by |m|, sign, degree.

    For m = 0 the degrees 0 .. L; then for each m up to ``mmax`` the degrees m .. L of +m, and
    those of -m.
    """
    kept = []
    for m in range(mmax + 1):
        for signed in (m, -m) if m else (0,):
            kept += [l * l + l + signed for l in range(m, lmax + 1)]
    return kept


class EdgeFrames(nn.Module):
    """Matrices (E, R, (L+1)^2) that turn features into the frames of their edges.

    They are the rows of Wigner's D with |m| <= mmax. As Y(R p) = D(R) Y(p) at any points p, D
    follows from the harmonics of a few turned points, without angles, and is a polynomial of
    the frame: smooth, and differentiable as often as wanted.

    Parameters
    ----------
    lmax : int
        Highest degree L.
    mmax : int
        Highest order |m| that is kept.
    """

    points: Tensor
    kept: Tensor

    def __init__(self, lmax: int, mmax: int) -> None:
        super().__init__()
        self.lmax = lmax
        self.harmonics = SphericalHarmonics(range(lmax + 1))
        points, inverses = _points_and_inverses(lmax)
        self.register_buffer("points", points, persistent=False)
        for l, inverse in enumerate(inverses):
            self.register_buffer(f"inverse_{l}", inverse, persistent=False)
        kept = torch.tensor(frame_components(lmax, mmax))
        self.register_buffer("kept", kept, persistent=False)

    def forward(self, directions: Tensor) -> Tensor:
        """Unit vectors (E, 3) to matrices (E, R, (L+1)^2)."""
        turned = torch.einsum("eab,kb->eka", frame_axes(directions), self.points)
        values = self.harmonics(turned.flatten(0, 1)).unflatten(0, (-1, len(self.points)))
        size = (self.lmax + 1) ** 2
        blocks = []
        for l in range(self.lmax + 1):
            low, high = l * l, (l + 1) ** 2
            block = values[:, :, low:high].transpose(1, 2) @ getattr(self, f"inverse_{l}")
            blocks.append(nn.functional.pad(block, (low, size - high)))
        return torch.cat(blocks, dim=1).index_select(1, self.kept)


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
