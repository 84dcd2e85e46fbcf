"""Sums over the members of a group: edges of an atom, atoms of a structure."""

from __future__ import annotations

from torch import Tensor


def segment_sum(values: Tensor, index: Tensor, num_segments: int) -> Tensor:
    """Sum rows that share an index: (E, ...) with index (E,) to (num_segments, ...)."""
    return values.new_zeros(num_segments, *values.shape[1:]).index_add(0, index, values)
