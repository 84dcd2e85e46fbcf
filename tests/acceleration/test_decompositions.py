from __future__ import annotations

import pytest
import torch
from torch import Tensor

from ase_geomformer.acceleration import decompositions
from ase_geomformer.acceleration.compiler import compile_with_gradient
from ase_geomformer.acceleration.products import product


def random(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=dtype)


@pytest.mark.parametrize(
    ("shape", "dim"), [((7,), 0), ((7, 3), 0), ((7, 3, 2), 0), ((3, 7), -1), ((0, 3), 0)]
)
def test_a_sum_by_product_is_the_sum(shape: tuple[int, ...], dim: int) -> None:
    source = random(*shape)
    index = torch.randint(4, (shape[dim],), generator=torch.Generator().manual_seed(2))
    sizes = list(shape)
    sizes[dim] = 4
    values = random(*sizes, seed=1)
    expected = values.index_add(dim, index, source)
    torch.testing.assert_close(decompositions.sum_by_product(values, dim, index, source), expected)


@pytest.mark.parametrize(
    ("left", "right"),
    [((40, 3, 5), (40, 5, 8)), ((40, 7, 7), (40, 7, 16)), ((40, 5, 16), (40, 16, 5))],
)
def test_a_product_written_out_is_the_product(
    left: tuple[int, ...], right: tuple[int, ...]
) -> None:
    a, b = random(*left), random(*right, seed=1)
    torch.testing.assert_close(decompositions.unrolled_product(a, b), torch.bmm(a, b))


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ((31, 3, 3), (31, 3, 8)),
        ((40, 8, 8), (40, 8, 16)),
        ((40, 8, 16), (40, 16, 8)),
        ((40, 3, 3), (40, 3, 3)),
    ],
)
def test_other_products_are_left_alone(left: tuple[int, ...], right: tuple[int, ...]) -> None:
    assert decompositions.unrolled_product(random(*left), random(*right)) is NotImplemented


def test_a_lookup_written_out_is_the_lookup() -> None:
    table, shares = random(20, 5), random(11, 6, seed=1)
    rows = torch.randint(15, (11, 1)) + torch.arange(6)
    expected = torch.nn.functional.embedding_bag(rows, table, per_sample_weights=shares, mode="sum")
    offsets = 6 * torch.arange(11)
    values, *_ = decompositions.unrolled_lookup(
        table, rows.flatten(), offsets, False, 0, False, shares.flatten(), False, -1
    )
    torch.testing.assert_close(values, expected)


@pytest.mark.parametrize("transposed", [False, True])
def test_onednn_gives_the_product(transposed: bool) -> None:
    left, bias = random(300, 96, dtype=torch.float32), random(40, seed=2, dtype=torch.float32)
    right = random(40, 96, seed=1, dtype=torch.float32).T
    if not transposed:
        right = right.contiguous()
    # Rounding of sums of 96 products of about one.
    torch.testing.assert_close(product(left, right), left @ right, rtol=0, atol=2e-5)
    torch.testing.assert_close(product(left, right, bias), bias + left @ right, rtol=0, atol=2e-5)


@pytest.mark.parametrize(
    ("size", "dtype", "few_edges", "calls"),
    [
        (2000, torch.float32, False, 2),
        (2000, torch.float32, True, 0),
        (2000, torch.float64, False, 0),
        (20, torch.float32, False, 0),
    ],
)
def test_large_products_in_compiled_code(
    size: int,
    dtype: torch.dtype,
    few_edges: bool,
    calls: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A product and the one of its gradient, and neither for other types, sizes or callers."""
    monkeypatch.setattr(decompositions, "is_intel", lambda: False)
    weight = random(64, 32, dtype=dtype)

    def slopes(values: Tensor) -> list[Tensor]:
        with torch.enable_grad():
            leaf = values.detach().requires_grad_()
            energy = torch.tanh(leaf @ weight).sum()
            return list(torch.autograd.grad(energy, leaf))

    values = random(size, 64, seed=1, dtype=dtype)
    compiled = compile_with_gradient(slopes, [values], "inductor", few_edges=few_edges)
    with torch.profiler.profile() as profile:
        (found,) = compiled(values)
    names = [event.name for event in profile.events()]
    assert names.count("mkldnn::_linear_pointwise") == calls
    torch.testing.assert_close(found, slopes(values)[0], rtol=0, atol=1e-5)
