"""The smooth switch between two distances."""

from __future__ import annotations

import torch
from torch import Tensor

# 1/0.001 - 1 is beyond the logarithm of the largest float64: there the switch is 0 or 1 to the bit.
MARGIN = 1e-3


def smooth_switch(distances: Tensor, on: float, off: float) -> Tensor:
    """1 up to ``on``, 0 from ``off``, infinitely differentiable everywhere (shapes as given, Å).

    With c = (d - on) / (off - on) it is s(1-c) / (s(1-c) + s(c)) for s(u) = exp(-1/u), that is
    the logistic function of 1/c - 1/(1-c).
    """
    c = (distances - on) / (off - on)
    inside = (c > MARGIN) & (c < 1.0 - MARGIN)
    # The reciprocals diverge at the ends: replace the operand first, so that no gradient is NaN.
    safe = torch.where(inside, c, 0.5)
    values = torch.sigmoid(1.0 / safe - 1.0 / (1.0 - safe))
    return torch.where(inside, values, (c < 0.5).to(values.dtype))


def switch_with_slope(distances: Tensor, on: float, off: float) -> tuple[Tensor, Tensor]:
    """:func:`smooth_switch` and its derivative, 1/Å."""
    c = (distances - on) / (off - on)
    inside = (c > MARGIN) & (c < 1.0 - MARGIN)
    safe = torch.where(inside, c, 0.5)
    rest = 1.0 - safe
    values = torch.sigmoid(1.0 / safe - 1.0 / rest)
    steepness = (1.0 / (safe * safe) + 1.0 / (rest * rest)) / (on - off)
    slopes = values * (1.0 - values) * steepness
    values = torch.where(inside, values, (c < 0.5).to(values.dtype))
    return values, slopes.masked_fill_(~inside, 0.0)
