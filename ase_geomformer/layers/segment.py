"""From members of a group to the group and back: edges of an atom, atoms of a structure."""

from __future__ import annotations

from torch import Tensor


def segment_sum(values: Tensor, index: Tensor, num_segments: int) -> Tensor:
    """Sum rows that share an index: (E, ...) with index (E,) to (num_segments, ...)."""
    return values.new_zeros(num_segments, *values.shape[1:]).index_add(0, index, values)


def gather(values: Tensor, index: Tensor) -> Tensor:
    """Give each member the row of its group: (N, ...) with index (E,) to (E, ...).

    The gradient is a :func:`segment_sum`, in the order of the members. That of
    ``values[index]`` is summed by all threads at once, and its last digits differ from run to run.
    """
    return values.index_select(0, index)
