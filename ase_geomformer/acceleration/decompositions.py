"""What compiled code does in place of some of torch's operations, because it takes less time.

The compiler fuses what it knows as arithmetic on elements with what comes before and after, and
calls everything else as it is. Decompositions are its own way of being told. All figures are of one
thread of an AMD EPYC (Zen 5).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ase_geomformer.acceleration.identity import of_machine
from ase_geomformer.acceleration.products import product

Decomposition = Callable[..., Any]

aten = torch.ops.aten
# Multiplications; below, a call of oneDNN, 0.01 ms, costs more than it saves.
FEWEST_PRODUCTS = 2**21
# Numbers of a matrix that is written out: 7 x 7, as of degree three. More would be a lot of code.
LARGEST_MATRIX = 49
FEWEST_COLUMNS = 8
FEWEST_MATRICES = 32
SUM = 0  # the mode of embedding_bag


def decompositions(*, few_edges: bool = False) -> dict[Any, Decomposition]:
    """Inductor's decompositions, with ours.

    Inductor may fuse a sum over edges with what reads that sum (pytorch/pytorch#171493; up to 2.13
    at least): energies were right then, and forces wrong by 0.1 eV/Å and more. Left whole, such a
    sum is called as it is, and costs no more.

    Parameters
    ----------
    few_edges : bool
        See :func:`~ase_geomformer.acceleration.compiler.compiler_backend`.
    """
    from torch._inductor.decomposition import select_decomp_table

    table: dict[Any, Decomposition] = dict(select_decomp_table())
    for op in (aten.index_add.default, aten.index_add_.default):
        del table[op]
    ours: dict[Any, Decomposition] = {
        aten.bmm.default: unrolled_product,
        aten._embedding_bag_forward_only.default: unrolled_lookup,
    }
    if few_edges:
        ours[aten.index_add.default] = sum_by_product
    else:
        ours |= {aten.mm.default: large_product, aten.addmm.default: large_affine}
    return table | {op: _first(ours[op], table.get(op)) for op in ours}


def ahead_of_time_decompositions() -> dict[Any, Decomposition]:
    """Ours alone, for code of any number of atoms and edges, which inductor compiles afterwards.

    No sum over edges is left that inductor could take apart and fuse with what reads it, or for
    which C++ would have to call Python.
    """
    return {
        aten.bmm.default: unrolled_product,
        aten._embedding_bag_forward_only.default: unrolled_lookup,
        aten.index_add.default: sum_by_segment,
    }


def _first(ours: Decomposition, theirs: Decomposition | None) -> Decomposition:
    """Ours where it applies, else theirs."""

    def decompose(*args: Any, **kwargs: Any) -> Any:
        result = ours(*args, **kwargs)
        if result is NotImplemented and theirs is not None:
            return theirs(*args, **kwargs)
        return result

    return decompose


def sum_by_product(values: Tensor, dim: int, index: Tensor, source: Tensor) -> Tensor:
    """``values.index_add(dim, index, source)`` as a product with a matrix of zeros and ones.

    For a few edges that takes less time, as all sums over them share the matrix.
    """
    places = torch.arange(values.shape[dim], device=index.device)
    belongs = (places[:, None] == index).to(source.dtype)
    rows = source.movedim(dim, 0)
    sums = (belongs @ rows[:, None].flatten(1)).unflatten(1, (1, *rows.shape[1:])).squeeze(1)
    return values + sums.movedim(0, dim)


def sum_by_segment(
    values: Tensor, dim: int, index: Tensor, source: Tensor, *, alpha: float = 1
) -> Tensor:
    """``values.index_add(dim, index, source)`` row by row of the result, its members in order.

    With 128 features, rows of 11,264 edges take 0.09 ms so, and 0.19 to 0.25 by ``index_add``;
    those of 72 the same time. All sums by one index share its order. A sum over a fixed, small
    number of rows is a product, as in :func:`sum_by_product`.
    """
    if alpha != 1:
        return NotImplemented
    if isinstance(index.shape[0], int) and isinstance(values.shape[dim], int):
        return sum_by_product(values, dim, index, source)
    order = torch.argsort(index, stable=True)
    starts = torch.arange(values.shape[dim], device=index.device)
    offsets = torch.searchsorted(index.index_select(0, order), starts)
    rows = source.movedim(dim, 0)
    flat = rows.reshape(rows.shape[0], math.prod(rows.shape[1:]))
    sums, *_ = aten._embedding_bag_forward_only(flat, order, offsets, False, SUM)
    return values + sums.reshape(values.shape[dim], *rows.shape[1:]).movedim(0, dim)


def large_product(left: Tensor, right: Tensor) -> Tensor:
    """``left @ right`` by oneDNN where it is large."""
    if not _large(left, right):
        return NotImplemented
    return product(left, right)


def large_affine(
    bias: Tensor, left: Tensor, right: Tensor, *, beta: float = 1, alpha: float = 1
) -> Tensor:
    """``bias + left @ right`` by oneDNN where it is large."""
    if beta != 1 or alpha != 1 or bias.ndim != 1 or not _large(left, right):
        return NotImplemented
    return product(left, right, bias)


def _large(left: Tensor, right: Tensor) -> bool:
    return (
        left.is_cpu
        and left.dtype == torch.float32
        and torch.backends.mkldnn.is_available()
        and not is_intel()
        and left.shape[0] * left.shape[1] * right.shape[1] >= FEWEST_PRODUCTS
    )


def is_intel() -> bool:
    """Whether the CPU is Intel's, where MKL is faster than oneDNN.

    On a Xeon (Sapphire Rapids) it multiplied (736, 128) by (128, 128) at 132 billion operations a
    second, and oneDNN at 116; for gradients of weights, whose left operand is transposed and which
    oneDNN copies, it was 125 and 70.
    """
    return "Intel" in of_machine()[1]


def unrolled_product(left: Tensor, right: Tensor) -> Tensor:
    """``torch.bmm`` of many small matrices, written out.

    Each product is worth fewer operations than a call for it: turning 32 channels of 2,176 edges by
    9 x 9 matrices takes 0.29 ms, by the blocks of degrees 1 and 2 0.93, and written out 0.10.
    """
    number, rows, inner = left.shape
    columns = right.shape[2]
    if not left.is_cpu or number < FEWEST_MATRICES:
        return NotImplemented
    if rows * inner <= LARGEST_MATRIX and columns >= FEWEST_COLUMNS:
        sums = [_combination(row, right.unbind(1)) for row in left.unbind(1)]
        return torch.stack(sums, dim=1)
    if rows * columns <= LARGEST_MATRIX and inner >= FEWEST_COLUMNS:
        dots = [(row * column).sum(1) for row in left.unbind(1) for column in right.unbind(2)]
        return torch.stack(dots, dim=1).unflatten(1, (rows, columns))
    return NotImplemented


def unrolled_lookup(
    table: Tensor,
    indices: Tensor,
    offsets: Tensor,
    scale_grad_by_freq: bool = False,
    mode: int = SUM,
    sparse: bool = False,
    weights: Tensor | None = None,
    *_: Any,
) -> Any:
    """Weighted sums of rows of a table, ``embedding_bag``, written out.

    By itself the operation is as fast; written out, what reads the values does not wait for them
    to be written and read: So3krates of 512 atoms of silicon 29.4 instead of 32.7 ms. All sums have
    equally many rows, as those of a :class:`~ase_geomformer.layers.spline.SplineTable`.
    """
    if not table.is_cpu or mode != SUM or weights is None:
        return NotImplemented
    rows = indices.unflatten(0, (offsets.shape[0], -1)).unbind(1)
    shares = weights.unflatten(0, (offsets.shape[0], -1))
    values = _combination(shares, [table.index_select(0, row) for row in rows])
    unused = indices.new_empty(0)
    return values, unused, unused, unused


def _combination(factors: Tensor, terms: Any) -> Tensor:
    """The sum over k of factors (B, K) times the K terms (B, C)."""
    total, *further = (
        factor * term for factor, term in zip(factors[:, :, None].unbind(1), terms, strict=True)
    )
    for one in further:
        total = total + one
    return total
