"""Cutoff functions: 1 at zero distance, 0 from the cutoff on, smooth in between.

Each takes distances (E,) and the cutoff, both in Å, and returns (E,).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ase_geomformer.layers.decay import decaying_exp
from ase_geomformer.layers.written_gradient import WrittenGradient


def cosine_cutoff(distances: Tensor, cutoff: float) -> Tensor:
    """Half a period of the cosine (Behler, J. Chem. Phys. 134, 074106 (2011)); C1 at the cutoff."""
    values = 0.5 * (torch.cos(math.pi / cutoff * distances) + 1.0)
    return torch.where(distances < cutoff, values, 0.0)


def quintic_cutoff(distances: Tensor, cutoff: float) -> Tensor:
    """1 - 6 u^5 + 15 u^4 - 10 u^3 with u = d / cutoff, as in PhysNet; C2 at the cutoff."""
    u = distances / cutoff
    values = 1.0 + u**3 * (-10.0 + u * (15.0 - 6.0 * u))
    return torch.where(distances < cutoff, values, 0.0)


def exponential_cutoff(distances: Tensor, cutoff: float) -> Tensor:
    """exp(-d^2 / (cutoff^2 - d^2)), as in SpookyNet; C-infinity at the cutoff."""
    inside = distances < cutoff
    # The quotient diverges at the cutoff: replace the operand first, so that no gradient is NaN.
    safe = torch.where(inside, distances, 0.0)
    values = decaying_exp(-(safe**2) / (cutoff**2 - safe**2))
    return torch.where(inside, values, 0.0)


def polynomial_cutoff(values: Tensor, cutoff: Tensor | float) -> Tensor:
    """1 - 28 u^6 + 48 u^7 - 21 u^8 with u = value / cutoff (Gasteiger et al., ICLR 2020); C2."""
    u = values / cutoff
    return torch.where(u < 1.0, 1.0 + u**6 * (-28.0 + u * (48.0 - 21.0 * u)), 0.0)


CUTOFFS: dict[str, Callable[[Tensor, float], Tensor]] = {
    "cosine": cosine_cutoff,
    "quintic": quintic_cutoff,
    "exponential": exponential_cutoff,
}


def value_and_slope(
    function: Callable[[Tensor, float], Tensor], distances: Tensor, cutoff: float
) -> tuple[Tensor, Tensor]:
    """Values (E,) of a cutoff function and their derivatives (E,) in 1/Å; nothing is recorded."""
    if function is quintic_cutoff:
        u = distances / cutoff
        inside = u < 1.0
        square = u * u
        values = 1.0 + square * u * (-10.0 + u * (15.0 - 6.0 * u))
        slopes = square * ((u - 1.0) ** 2 * (-30.0 / cutoff))
        return values * inside, slopes * inside
    with torch.enable_grad():
        leaf = distances.detach().requires_grad_()
        values = function(leaf, cutoff)
        if not values.requires_grad:  # A constant.
            return values, torch.zeros_like(distances)
        (slopes,) = torch.autograd.grad(values.sum(), leaf)
    return values.detach(), slopes


@dataclass(frozen=True)
class Envelope(WrittenGradient):
    """A cutoff function of distances (E,)."""

    function: Callable[[Tensor, float], Tensor]
    cutoff: float
    weights = ()

    def formula(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        (distances,) = inputs
        return (self.function(distances, self.cutoff),)

    def evaluate(self, *inputs: Tensor) -> tuple[tuple[Tensor, ...], Any]:
        (distances,) = inputs
        values, slopes = value_and_slope(self.function, distances, self.cutoff)
        return (values,), slopes

    def gradient(
        self, inputs: tuple[Tensor, ...], kept: Any, slopes: tuple[Tensor, ...]
    ) -> tuple[Tensor, ...]:
        return (slopes[0] * kept,)
