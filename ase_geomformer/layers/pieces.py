"""Edges in pieces that stay in the cache, and sums over segments made piece by piece."""

from __future__ import annotations

from torch import Tensor

from ase_geomformer.graph.segments import Segments

WHOLE = slice(None)


def pieces(rows: Tensor, size: int) -> list[slice]:
    """Slices of so many rows at most; a single one on a GPU, which has no cache to spare."""
    edges = rows.shape[0]
    if edges <= size or not rows.is_cpu:
        return [WHOLE]
    return [slice(start, start + size) for start in range(0, edges, size)]


def of(rows: Tensor, part: slice) -> Tensor:
    """The rows in a slice."""
    return rows if part is WHOLE else rows[part]


class SegmentSum:
    """The sum of rows by segment, of which there may be one piece after the other.

    Their order is that of one piece, and so are the last digits.
    """

    def __init__(self, segments: Segments) -> None:
        self._segments = segments
        self._total: Tensor | None = None

    def add(self, part: slice, rows: Tensor) -> None:
        """Add the rows of the members in a slice."""
        if part is WHOLE:
            self._total = self._segments.sum(rows)
            return
        if self._total is None:
            self._total = rows.new_zeros(self._segments.number, *rows.shape[1:])
        self._total.index_add_(0, self._segments.index[part], rows)

    @property
    def total(self) -> Tensor:
        assert self._total is not None
        return self._total
