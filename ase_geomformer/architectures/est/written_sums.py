"""Sums over neighbours of scalars times harmonics, degree by degree, and their gradient.

Edges stand in a table with one row for each receiver, see
:class:`~ase_geomformer.graph.segments.Slots`, so that sums are products of matrices.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ase_geomformer.graph.segments import Slots
from ase_geomformer.layers.spline import SplinePoint, SplineTable
from ase_geomformer.layers.written_gradient import WrittenGradient


def degree_slices(number: int) -> list[slice]:
    """The components of the first degrees."""
    return [slice(l * l, (l + 1) ** 2) for l in range(number)]


def sums(slots: Slots, scalars: Tensor, harmonics: Tensor) -> Tensor:
    """Sums (N, M, C) by receiver of scalars (E, L + 1, C) times harmonics (E, M)."""
    table, values = slots.filled(harmonics), slots.filled(scalars.flatten(1))
    parts = values.split(scalars.shape[2], dim=2)
    return torch.cat(
        [
            torch.bmm(table[:, :, own].mT, part)
            for own, part in zip(degree_slices(len(parts)), parts, strict=True)
        ],
        dim=1,
    )


def sums_gradient(
    slots: Slots, scalars: Tensor, harmonics: Tensor, slope: Tensor
) -> tuple[Tensor, Tensor]:
    """From slopes (N, M, C) to those of scalars and of harmonics."""
    table, values = slots.filled(harmonics), slots.filled(scalars.flatten(1))
    by_table, by_values = torch.empty_like(table), torch.empty_like(values)
    width = scalars.shape[2]
    for l, own in enumerate(degree_slices(scalars.shape[1])):
        columns = slice(l * width, (l + 1) * width)
        by_table[:, :, own] = torch.bmm(values[:, :, columns], slope[:, own].mT)
        by_values[:, :, columns] = torch.bmm(table[:, :, own], slope[:, own])
    return slots.members(by_values).view(scalars.shape), slots.members(by_table)


@dataclass(frozen=True, eq=False)
class WrittenDensity(WrittenGradient):
    """Sums (N, M, C) over neighbours of factors by atoms times filters times harmonics.

    Inputs are the harmonics (E, M), the envelope (E,), and the filters (E, (L + 1) C), or with a
    table the distances (E,).

    Attributes
    ----------
    plain : callable
        The formula.
    slots : Slots
        Of the receivers.
    point : SplinePoint or None
        The places of the distances on the grid of ``table``.
    table : SplineTable or None
    sender, receiver : Tensor, shapes (E, C) and (N, C)
        Factors of what is summed, and of the sums.
    """

    plain: Callable[..., Tensor]
    slots: Slots
    point: SplinePoint | None
    table: SplineTable | None
    sender: Tensor
    receiver: Tensor

    weights = ()

    def formula(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        return (self.plain(*inputs),)

    def evaluate(self, *inputs: Tensor) -> tuple[tuple[Tensor, ...], Any]:
        harmonics, envelope, filters = inputs
        if self.point is not None and self.table is not None:
            filters = self.point.read(self.table.coefficients, 0)
        shape = (len(envelope), -1, self.sender.shape[1])
        unfaded = filters.view(shape) * self.sender[:, None]
        scalars = unfaded * envelope[:, None, None]
        density = sums(self.slots, scalars, harmonics).mul_(self.receiver[:, None])
        return (density,), (unfaded, scalars)

    def gradient(
        self, inputs: tuple[Tensor, ...], kept: Any, slopes: tuple[Tensor, ...]
    ) -> tuple[Tensor, ...]:
        (harmonics, envelope, _), (unfaded, scalars) = inputs, kept
        slope = slopes[0] * self.receiver[:, None]
        by_scalars, by_harmonics = sums_gradient(self.slots, scalars, harmonics, slope)
        by_envelope = (by_scalars * unfaded).flatten(1).sum(dim=1)
        by_scalars.mul_((self.sender * envelope[:, None])[:, None])
        by_radial = by_scalars.flatten(1)
        if self.point is not None and self.table is not None:
            by_radial = by_radial.mul_(self.point.read(self.table.coefficients, 1)).sum(dim=1)
        return by_harmonics, by_envelope, by_radial
