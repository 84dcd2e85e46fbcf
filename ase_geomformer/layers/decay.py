"""Exponentials that are zero below a threshold, to avoid subnormal numbers."""

from __future__ import annotations

import math

import torch
from torch import Tensor

# Below 1e-26 nothing is left beside the values around one that these are added to, in float64
# either, and the product of what is left with a small gradient still is an ordinary float32.
LEAST_EXPONENT = -60.0


def decaying_exp(exponents: Tensor) -> Tensor:
    """Exponential function of a tensor of any shape, zero for exponents below -60.

    Intel's processors take two hundred times as long for a product of matrices of numbers below
    1.2e-38 as for one of others. In the tails of radial functions and of their derivatives there
    are so many of them that trainings of silicon took twice as long.
    """
    return torch.exp(exponents.masked_fill(exponents < LEAST_EXPONENT, -math.inf))
