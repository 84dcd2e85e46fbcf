"""Dense layers with the initialisation of the original codes."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

LAYER_NORM_EPS = 1e-6  # of the original codes; torch's own default is 1e-5


def lecun_normal_(weight: Tensor, fan_in: int) -> Tensor:
    """Fill with a normal of variance 1 / fan_in cut at two standard deviations, in place.

    LeCun et al., "Efficient BackProp" (1998); cutting shrinks the variance, which the constant
    restores.
    """
    std = 1.0 / math.sqrt(fan_in) / 0.87962566103423978
    return nn.init.trunc_normal_(weight, std=std, a=-2.0 * std, b=2.0 * std)


def dense(num_in: int, num_out: int, *, bias: bool = True) -> nn.Linear:
    """A linear layer with LeCun-normal weights and zero bias."""
    layer = nn.Linear(num_in, num_out, bias=bias)
    lecun_normal_(layer.weight, num_in)
    if bias:
        nn.init.zeros_(layer.bias)
    return layer


class HeadLinear(nn.Module):
    """One square matrix per head: y_h = W_h x_h (+ b_h), on contiguous blocks of the feature axis.

    Parameters
    ----------
    num_features : int
        Width F of the features, split into ``num_heads`` equal blocks.
    num_heads : int
    bias : bool
        Whether to add a trainable vector, zero at the start.
    """

    def __init__(self, num_features: int, num_heads: int, *, bias: bool = False) -> None:
        super().__init__()
        self.num_heads = num_heads
        width = num_features // num_heads
        self.weight = nn.Parameter(lecun_normal_(torch.empty(num_heads, width, width), width))
        self.bias = nn.Parameter(torch.zeros(num_heads, width)) if bias else None

    def forward(self, features: Tensor) -> Tensor:
        """Features (N, F) to (N, F)."""
        blocks = features.unflatten(-1, (self.num_heads, -1))
        values = torch.einsum("hij,nhj->nhi", self.weight, blocks)
        return (values if self.bias is None else values + self.bias).flatten(-2)
