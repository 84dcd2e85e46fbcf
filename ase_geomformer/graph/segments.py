"""Sums over segments and their inverse: edges of atoms, atoms of structures."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import torch
from torch import Tensor

# Numbers of places in a table that may be empty, however few members there are.
SMALL_TABLE = 256


@dataclass(frozen=True, eq=False)
class Slots:
    """A table with one row for each segment and one column for each of its members.

    Sums over segments of products are then products of matrices, one for each row. Rows of
    segments with fewer members than others end with zeros.

    Attributes
    ----------
    number, width : int
        Rows and columns.
    places : Tensor, shape (E,), int64, or None
        Where the members are in the table, row by row; None where they fill it as they come.
    """

    number: int
    width: int
    places: Tensor | None

    @classmethod
    def of(cls, index: Tensor, number: int) -> Slots | None:
        """The table of E members by the segments they belong to; None if mostly empty."""
        total = index.shape[0]
        counts = torch.bincount(index, minlength=number)
        width = int(counts.max())
        if number * width > 2 * total + SMALL_TABLE:
            return None
        is_rising = bool((index[1:] >= index[:-1]).all())
        if is_rising and number * width == total:
            return cls(number, width, None)
        # Where each row begins, less the number of members before it.
        starts = torch.arange(0, number * width, width) + counts - counts.cumsum(0)
        members = torch.arange(total)
        if is_rising:
            return cls(number, width, members + starts[index])
        order = index.argsort(stable=True)
        places = torch.empty_like(index)
        places[order] = members + starts[index[order]]
        return cls(number, width, places)

    def filled(self, values: Tensor) -> Tensor:
        """The table (number, width, F) of the members' values (E, F)."""
        if self.places is None:
            return values.view(self.number, self.width, -1)
        table = values.new_zeros(self.number * self.width, values.shape[1])
        return table.index_copy_(0, self.places, values).view(self.number, self.width, -1)

    def members(self, table: Tensor) -> Tensor:
        """The members' values (E, F) in a table (number, width, F)."""
        rows = table.flatten(0, 1)
        return rows if self.places is None else rows.index_select(0, self.places)


@dataclass(frozen=True, eq=False)
class Segments:
    """Which of ``number`` segments each of E members belongs to.

    On a CPU sums are made by the index, on one thread, in the order of the members. A GPU would
    add in the order in which its threads arrive, and last digits would differ from run to run;
    there each segment is reduced on its own, from its first member to its last.

    Attributes
    ----------
    index : Tensor, shape (E,), int64
    number : int
    offsets : Tensor, shape (number + 1,), int64, optional
        Where segments begin among the members in their order; None for sums by the index.
    order : Tensor, shape (E,), int64, optional
        The members, segment by segment; None where they come so.
    """

    # Whether rows of other processes are summed and gathered, too.
    is_divided: ClassVar[bool] = False

    index: Tensor
    number: int
    offsets: Tensor | None = None
    order: Tensor | None = None

    @classmethod
    def of(cls, index: Tensor, number: int, *, in_order: bool = False) -> Segments:
        """Segments as they suit the device; ``in_order`` if the index never decreases."""
        if index.is_cuda:
            return cls.reduced(index, number, in_order=in_order)
        return cls(index, number)

    @classmethod
    def reduced(cls, index: Tensor, number: int, *, in_order: bool = False) -> Segments:
        """Segments that are reduced one by one, on any device."""
        order = None if in_order else index.argsort(stable=True)
        rising = index if order is None else index.index_select(0, order)
        starts = torch.arange(number + 1, device=index.device)
        return cls(index, number, torch.searchsorted(rising, starts), order)

    @cached_property
    def slots(self) -> Slots | None:
        """The members in a table; None where it would be mostly empty, or sums are reduced."""
        if self.offsets is not None or self.is_divided or not self.index.shape[0]:
            return None
        return Slots.of(self.index, self.number)

    def sum(self, values: Tensor) -> Tensor:
        """Sum the rows of each segment: (E, ...) to (number, ...)."""
        if self.offsets is None:
            zeros = values.new_zeros(self.number, *values.shape[1:])
            return zeros.index_add(0, self.index, values)
        sums: Tensor = _Sum.apply(values, self.index, self.offsets, self.order)
        return sums

    def gather(self, values: Tensor) -> Tensor:
        """Give each member the row of its segment: (number, ...) to (E, ...).

        The gradient is a :meth:`sum`. That of ``values[index]`` is summed by all threads at once,
        and its last digits differ from run to run.
        """
        if self.offsets is None:
            return values.index_select(0, self.index)
        rows: Tensor = _Gather.apply(values, self.index, self.offsets, self.order)
        return rows


class _BySegment(torch.autograd.Function):
    """A linear map of rows; all that its gradient needs is which segments they belong to."""

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        ctx.save_for_backward(*inputs[1:])


class _Sum(_BySegment):
    """Rows (E, ...) to their sums by segment, whose gradient each member gets."""

    @staticmethod
    def forward(values: Tensor, index: Tensor, offsets: Tensor, order: Tensor | None) -> Tensor:
        rows = values if order is None else values.index_select(0, order)
        # Unsafe: offsets are not looked at on the host, which would wait for them.
        return torch.segment_reduce(rows, "sum", offsets=offsets, axis=0, unsafe=True, initial=0.0)

    @staticmethod
    def backward(ctx: Any, *slopes: Any) -> Any:
        return _Gather.apply(slopes[0], *ctx.saved_tensors), None, None, None

    @staticmethod
    def vmap(_: Any, dims: tuple[Any, ...], values: Tensor, *segments: Tensor | None) -> Any:
        return _Sum.apply(values.movedim(dims[0], 1), *segments), 1


class _Gather(_BySegment):
    """Rows (number, ...) to those of the members, whose gradients are summed by segment."""

    @staticmethod
    def forward(values: Tensor, index: Tensor, offsets: Tensor, order: Tensor | None) -> Tensor:
        return values.index_select(0, index)

    @staticmethod
    def backward(ctx: Any, *slopes: Any) -> Any:
        return _Sum.apply(slopes[0], *ctx.saved_tensors), None, None, None

    @staticmethod
    def vmap(_: Any, dims: tuple[Any, ...], values: Tensor, *segments: Tensor | None) -> Any:
        return _Gather.apply(values.movedim(dims[0], 1), *segments), 1
