"""From features to the heads that share them and back, as products with zeros and ones.

Written as sums and copies, they leave compilers a division for every element: where a head has less
features than a vector register holds, attention over 15,000 edges took three times as long.
"""

from __future__ import annotations

import torch
from torch import Tensor


def head_sum(values: Tensor, num_heads: int) -> Tensor:
    """Sum each of ``num_heads`` contiguous blocks of the last axis: (..., F) to (..., heads)."""
    return values @ _members(num_heads, values.shape[-1] // num_heads, values).T


def head_spread(weights: Tensor, num_features: int) -> Tensor:
    """Copy the number of each head to its features: (..., heads) to (..., F)."""
    num_heads = weights.shape[-1]
    return weights @ _members(num_heads, num_features // num_heads, weights)


def _members(num_heads: int, width: int, like: Tensor) -> Tensor:
    """Matrix (heads, F): one where a feature belongs to the head, zero elsewhere."""
    eye = torch.eye(num_heads, dtype=like.dtype, device=like.device)
    return eye[:, :, None].expand(-1, -1, width).flatten(1)
