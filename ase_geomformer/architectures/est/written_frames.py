"""Matrices of the frames of edges, with their gradient written out.

Wigner's D of degree l is the part of D^(l-1) (x) D^1 that couples to l. For two degrees that takes
a tenth of the operations of harmonics at points, which autograd and compilers follow.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn

from ase_geomformer.layers.couplings import wigner_3j
from ase_geomformer.layers.written_gradient import WrittenGradient


class FrameConstants(nn.Module):
    """Tables of :class:`WrittenFrames`.

    Parameters
    ----------
    lmax : int
        Highest degree L.
    rows : sequence of (int, int)
        Degree and order of each row of the matrix.
    """

    place: Tensor
    scalars: Tensor

    def __init__(self, lmax: int, rows: Sequence[tuple[int, int]]) -> None:
        super().__init__()
        self.degrees = range(1, lmax + 1)
        self.sizes = [(2 * l + 1) ** 2 for l in self.degrees]
        place, scalars = _places(lmax, rows)
        self.register_buffer("place", place, persistent=False)
        self.register_buffer("scalars", scalars, persistent=False)
        for l in self.degrees[1:]:
            self.register_buffer(f"coupling_{l}", _coupling(l), persistent=False)

    def couplings(self) -> list[Tensor]:
        """From products of D^(l-1) and D^1 to D^l, for l = 2 .. L."""
        return [getattr(self, f"coupling_{l}") for l in self.degrees[1:]]


@dataclass(frozen=True, eq=False)
class WrittenFrames(WrittenGradient):
    """One matrix (E, K, M) for unit vectors (E, 3), with zeros between degrees.

    Attributes
    ----------
    axes : callable
        Unit vectors to rotation matrices (E, 3, 3) that take them to z.
    lean : callable
        Unit vectors to the vectors (E, 3) in whose direction x axes of frames lean.
    plain : callable
        The formula.
    constants : FrameConstants
    """

    axes: Callable[[Tensor], Tensor]
    lean: Callable[[Tensor], Tensor]
    plain: Callable[[Tensor], Tensor]
    constants: FrameConstants
    weights = ()

    def formula(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        return (self.plain(*inputs),)

    def evaluate(self, *inputs: Tensor) -> tuple[tuple[Tensor, ...], Any]:
        (directions,) = inputs
        axes = self.axes(directions)
        # Components of degree one come in the order y, z, x.
        first = axes.roll((-1, -1), dims=(1, 2)).flatten(1)
        matrices = [first]
        for coupling in self.constants.couplings():
            products = matrices[-1][:, :, None] * first[:, None]
            matrices.append(products.flatten(1) @ coupling)
        flat = torch.cat(matrices, dim=1) if len(matrices) > 1 else first
        constants = self.constants
        values = torch.addmm(constants.scalars.flatten(), flat, constants.place)
        return (values.unflatten(1, constants.scalars.shape),), (axes, matrices)

    def gradient(
        self, inputs: tuple[Tensor, ...], kept: Any, slopes: tuple[Tensor, ...]
    ) -> tuple[Tensor, ...]:
        (directions,), (axes, matrices) = inputs, kept
        by_flat = slopes[0].flatten(1) @ self.constants.place.T
        by_matrix = list(by_flat.split(self.constants.sizes, dim=1))
        first, by_first = matrices[0], by_matrix[0].clone()
        couplings = self.constants.couplings()
        for l in range(len(couplings), 0, -1):
            by_products = by_matrix[l] @ couplings[l - 1].T
            by_products = by_products.unflatten(1, (-1, 9))
            by_first += (by_products * matrices[l - 1][:, :, None]).sum(dim=1)
            by_below = (by_products * first[:, None]).sum(dim=2)
            if l > 1:
                by_matrix[l - 1] = by_matrix[l - 1] + by_below
            else:
                by_first += by_below
        by_axes = by_first.unflatten(1, (3, 3)).roll((1, 1), dims=(1, 2))
        return (_by_direction(directions, self.lean(directions), axes, by_axes),)


def _by_direction(directions: Tensor, lean: Tensor, axes: Tensor, by_axes: Tensor) -> Tensor:
    """Gradient (E, 3) of :func:`~.edge_frame.frame_axes`.

    The axes are s (lean - o d), d x (lean - o d) s and d, with o = lean . d, s^2 = 1 / (1 - o^2).
    """
    first = axes[:, 0]
    by_first, by_second, by_third = by_axes.unbind(1)
    overlap = (lean * directions).sum(dim=1, keepdim=True)
    scale = torch.rsqrt(1.0 - overlap * overlap)
    by_first = by_first + torch.linalg.cross(by_second, directions)
    along = (by_first * directions).sum(dim=1, keepdim=True)
    itself = (by_first * first).sum(dim=1, keepdim=True)
    by_overlap = scale * (scale * overlap * itself - along)
    by_direction = torch.linalg.cross(first, by_second).add_(by_third)
    return by_direction.sub_(by_first * (scale * overlap)).add_(by_overlap * lean)


@lru_cache(maxsize=8)
def _coupling(degree: int) -> Tensor:
    """From D^(l-1)_ac D^1_bd (E, (2l-1)^2 9) to D^l (E, (2l+1)^2), both flattened."""
    symbol = wigner_3j(degree - 1, 1, degree)
    both = torch.einsum("abm,cdn->acbdmn", symbol, symbol) * (2 * degree + 1)
    return both.reshape((2 * degree - 1) ** 2 * 9, (2 * degree + 1) ** 2)


def _places(lmax: int, rows: Sequence[tuple[int, int]]) -> tuple[Tensor, Tensor]:
    """Where the numbers of all D^l stand in the matrix: (sum of (2l+1)^2, K M); and its ones."""
    components = (lmax + 1) ** 2
    starts = [sum((2 * k + 1) ** 2 for k in range(1, l)) for l in range(lmax + 1)]
    place = torch.zeros(sum((2 * l + 1) ** 2 for l in range(1, lmax + 1)), len(rows), components)
    scalars = torch.zeros(len(rows), components, dtype=torch.float64)
    for row, (l, m) in enumerate(rows):
        if not l:
            scalars[row, 0] = 1.0
        for column in range(2 * l + 1 if l else 0):
            place[starts[l] + (l + m) * (2 * l + 1) + column, row, l * l + column] = 1.0
    return place.double().flatten(1), scalars
