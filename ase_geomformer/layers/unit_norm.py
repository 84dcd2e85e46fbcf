"""LayerNorm without weights, and its gradient written out.

Weights of a norm are factors and offsets of what the linear layer behind it reads, and are best
put into that layer, see :func:`behind_norm`.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn


class UnitNorm(NamedTuple):
    """Values of zero mean and unit variance along the last axis, and what was divided by.

    Attributes
    ----------
    values : Tensor, shape (..., F)
    inverse : Tensor, shape (..., 1)
        One over the standard deviation.
    """

    values: Tensor
    inverse: Tensor

    @classmethod
    def of(cls, values: Tensor, eps: float) -> UnitNorm:
        """Normalise values (..., F)."""
        shape = (values.shape[-1],)
        unit, _, inverse = torch.native_layer_norm(values, shape, None, None, eps)
        return cls(unit, inverse)

    def gradient(self, slope: Tensor) -> Tensor:
        """From slopes of the normalised values to those of the values."""
        along = (slope * self.values).mean(dim=-1, keepdim=True)
        centred = slope - slope.mean(dim=-1, keepdim=True)
        return centred.addcmul_(self.values, along, value=-1.0).mul_(self.inverse)


def behind_norm(
    norm: nn.LayerNorm, weight: Tensor, bias: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Matrix (F, out) and offset (out,) of a linear layer that reads what a LayerNorm gives.

    Parameters
    ----------
    norm : nn.LayerNorm
        Its weights go into the layer.
    weight : Tensor, shape (out, F)
    bias : Tensor, shape (out,), optional
    """
    offset = weight @ norm.bias
    return weight.T * norm.weight[:, None], offset if bias is None else offset + bias
