"""Functions of the distance as quintic B-splines on an even grid.

Each of the n intervals of length h has six basis functions that are not zero on it; between
intervals they join with four continuous derivatives (de Boor, *A Practical Guide to Splines*,
1978). A value is a sum of six rows of a table, whatever the function it stands for cost.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

DEGREE = 5
TERMS = DEGREE + 1
# Row p: coefficients of u^p in the six functions on one interval, 0 <= u <= 1, times 5!.
QUINTIC = (
    (1.0, 26.0, 66.0, 26.0, 1.0, 0.0),
    (-5.0, -50.0, 0.0, 50.0, 5.0, 0.0),
    (10.0, 20.0, -60.0, 20.0, 10.0, 0.0),
    (-10.0, 20.0, 0.0, -20.0, 10.0, 0.0),
    (5.0, -20.0, 30.0, -20.0, 5.0, 0.0),
    (-1.0, 5.0, -10.0, 10.0, -5.0, 1.0),
)


@dataclass(frozen=True, eq=False)
class SplinePoint:
    """Distances located on the grid, once for all tables on it.

    Attributes
    ----------
    distances : Tensor, shape (E,)
        What values are differentiated by.
    rows : Tensor, shape (E, 6), int64
        Rows of a table that contribute.
    powers : Tensor, shape (E, 6)
        1, u, ..., u^5 of the place u within the interval.
    inside : Tensor, shape (E, 1), bool
        Whether a distance lies within the grid; functions are constant beyond.
    bases : Tensor, shape (7, 6, 6)
        From powers to basis functions, their first derivative, their second, and so on.
    """

    distances: Tensor
    rows: Tensor
    powers: Tensor
    inside: Tensor
    bases: Tensor
    _weights: dict[int, Tensor] = field(default_factory=dict)

    def weights(self, order: int) -> Tensor:
        """Basis functions (E, 6), or their derivatives of the given order."""
        if order not in self._weights:
            weights = self.powers @ self.bases[min(order, TERMS)]
            self._weights[order] = weights * self.inside if order else weights
        return self._weights[order]

    def read(self, coefficients: Tensor, order: int) -> Tensor:
        """Values (E, F) of a table (n + 5, F), or their derivatives; nothing is recorded."""
        rows, weights = self.rows.flatten(), self.weights(order).flatten()
        lookup = torch.ops.aten._embedding_bag_forward_only
        values: Tensor = lookup(coefficients, rows, self.starts, False, 0, False, weights)[0]
        return values

    @cached_property
    def starts(self) -> Tensor:
        """Where the rows of each distance begin when they are put one after another, shape (E,)."""
        return torch.arange(0, self.rows.numel(), TERMS, device=self.rows.device)


class SplineGrid(nn.Module):
    """An even grid from zero to the cutoff; takes the place of a radial basis.

    Parameters
    ----------
    num_intervals : int
    cutoff : float, Å
    """

    bases: Tensor

    def __init__(self, num_intervals: int, cutoff: float) -> None:
        super().__init__()
        self.num_intervals, self.cutoff = num_intervals, cutoff
        self.inverse_spacing = num_intervals / cutoff
        basis = torch.tensor(QUINTIC, dtype=torch.float64) / 120.0
        bases = [basis]
        for _ in range(TERMS):
            lowered = torch.zeros_like(basis)
            lowered[:-1] = bases[-1][1:] * torch.arange(1.0, TERMS, dtype=torch.float64)[:, None]
            bases.append(lowered * self.inverse_spacing)
        self.register_buffer("bases", torch.stack(bases), persistent=False)

    def forward(self, distances: Tensor) -> SplinePoint:
        """Distances (E,) in Å, located; functions stay as they are at the cutoff beyond it."""
        place = distances.detach() * self.inverse_spacing
        first = place.to(torch.int64).clamp(0, self.num_intervals - 1)
        u = (place - first).clamp(max=1.0)
        square = u * u
        powers = [torch.ones_like(u), u, square, square * u, square * square, square * square * u]
        inside = (place <= self.num_intervals)[:, None]
        rows = first[:, None] + torch.arange(TERMS, device=first.device)
        return SplinePoint(distances, rows, torch.stack(powers, dim=1), inside, self.bases)


class SplineTable(nn.Module):
    """Several functions of the distance, tabulated.

    Parameters
    ----------
    coefficients : Tensor, shape (n + 5, F)
        Of the basis functions on a grid of n intervals.
    """

    coefficients: Tensor

    def __init__(self, coefficients: Tensor) -> None:
        super().__init__()
        self.register_buffer("coefficients", coefficients, persistent=False)

    def forward(self, point: SplinePoint) -> Tensor:
        """Values (E, F), differentiable by the distances any number of times."""
        values: Tensor = _Lookup.apply(point.distances, self.coefficients, point, 0)
        return values


class _Lookup(torch.autograd.Function):
    """Values of a table or their derivatives of some order, whose gradient is of the next."""

    @staticmethod
    def forward(
        ctx: Any, distances: Tensor, coefficients: Tensor, point: SplinePoint, order: int
    ) -> Tensor:
        ctx.save_for_backward(distances, coefficients)
        ctx.point, ctx.order = point, order
        weights = point.weights(order)
        # One kernel that reads the rows from the cache; the compiler keeps it, and rows gathered
        # one by one in compiled code were measured to be ten times slower.
        return nn.functional.embedding_bag(
            point.rows, coefficients, per_sample_weights=weights, mode="sum"
        )

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None, None]:
        distances, coefficients = ctx.saved_tensors
        slope = _Lookup.apply(distances, coefficients, ctx.point, ctx.order + 1)
        return (gradient * slope).sum(dim=1), None, None, None
