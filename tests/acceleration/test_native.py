"""Products, sums and orders that compiled code evaluates itself, against torch's."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch._inductor.codegen import cpp_wrapper_cpu

from ase_geomformer.acceleration.native import own_operations

# Columns of fewer and more numbers than registers hold, and inner lengths.
SHAPES = [(1, 5), (3, 1), (4, 24), (16, 7), (20, 32), (24, 4), (33, 132), (132, 132)]
COLUMNS = (4, 24, 70, 128)
# Which of the five products of each shape torch evaluates.
BY_TORCH = 3


class Products(nn.Module):
    """Products by weights in both orders, with and without something added, sums, and orders."""

    def __init__(self) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        for columns, inner in SHAPES:
            weight = torch.randn(inner, columns, generator=generator)
            self.register_buffer(f"weight_{columns}", weight)
        self.register_buffer("heads", torch.randn(4, 32, 20, generator=generator))

    def forward(self, rows: Tensor, order: Tensor, offsets: Tensor) -> tuple[Tensor, ...]:
        """Products of the first columns (N, 132); sums of rows between offsets (M,)."""
        found = []
        for columns, inner in SHAPES:
            weight, left = getattr(self, f"weight_{columns}"), rows[:, :inner]
            found.append(left @ weight)
            found.append(torch.addmm(weight[0], left, weight))
            found.append(torch.addmm(left.sum(1, keepdim=True) + weight[:1], left, weight))
            found.append(rows[:, :columns] @ weight.t())  # read in the other order
            found.append(rows[:, inner : 2 * inner] @ weight if 2 * inner <= 132 else left)
        heads = rows[:, :128].reshape(-1, 4, 32).transpose(0, 1)
        found.append(torch.bmm(heads, self.heads))
        found.append(rows.double() @ self.weight_132.double())  # another dtype
        for columns in COLUMNS:
            table = rows[:, :columns] * 2.0
            for values in (table, table.double()):
                bag, *_ = torch.ops.aten._embedding_bag_forward_only(values, order, offsets)
                found.append(bag)
        found.append(self.weight_24 @ rows[:, :24].t())
        # Rising, few different ones, far apart, negative.
        for index in (offsets, order % 7, order * 1_000_003, 3 - order):
            ranked, places = torch.sort(index, stable=True)
            found += [ranked, places]
            found += [torch.searchsorted(ranked, wanted) for wanted in (offsets, order - 2)]
        found.append(torch.sort(rows[:, 0], descending=True).values)
        found.append(torch.searchsorted(order.sort().values, offsets, right=True))
        return tuple(found)


def inputs(number: int, sums: int) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(number)
    rows = torch.randn(number, 132, generator=generator)
    order = torch.randperm(number, generator=generator)
    offsets = torch.randint(0, number, (sums,), generator=generator).sort().values
    offsets[0] = 0
    return rows, order, offsets


# Bits of a register: those of the processor, of AVX2, and none.
@pytest.fixture(scope="module", params=[None, 256, 1])
def compiled(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Any, str]:
    """A function, and the code that was written of it."""
    folder = tmp_path_factory.mktemp("own")
    shapes = ({0: torch.export.Dim.DYNAMIC},) * 3
    with torch.no_grad(), own_operations():
        program = torch.export.export(Products(), inputs(39, 11), dynamic_shapes=shapes)
        torch._inductor.aot_compile(
            program.module(),
            inputs(39, 11),
            options={
                "aot_inductor.output_path": str(folder / "code.so"),
                "cpp.dynamic_threads": True,
                "cpp.simdlen": request.param,
            },
        )
    runner = torch._C._aoti.AOTIModelContainerRunnerCpu(str(folder / "code.so"), 1)
    (wrapper,) = folder.glob("*.wrapper.cpp")
    return runner, wrapper.read_text(encoding="utf-8")


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("number", [2, 5, 12, 13, 37, 512, 513])
def test_products_are_those_of_torch(number: int, threads: int, compiled: tuple[Any, str]) -> None:
    given, before = inputs(number, 9), torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        results = compiled[0].run(list(given))
    finally:
        torch.set_num_threads(before)
    rows, *rest = given
    exact = Products().double()(rows.double(), *rest)
    for found, expected in zip(results, exact, strict=True):
        assert found.shape == expected.shape
        torch.testing.assert_close(found.double(), expected.double(), rtol=1e-5, atol=2e-4)


def test_a_row_is_the_same_whatever_it_is_computed_with(compiled: tuple[Any, str]) -> None:
    rows, order, offsets = inputs(37, 9)
    few = compiled[0].run([rows[:3].contiguous(), order[order < 3], offsets % 3])
    many = compiled[0].run([rows, order, offsets])
    for number in range(5 * len(SHAPES)):
        if number % 5 != BY_TORCH:
            assert torch.equal(few[number], many[number][:3])


def test_calls_are_replaced(compiled: tuple[Any, str]) -> None:
    assert "#define aoti_torch_cpu_mm_out own_mm_out" in compiled[1]
    assert compiled[1].count("aoti_torch_cpu_mm_out(") > len(SHAPES)
    assert "aoti_torch_cpu__embedding_bag_forward_only(" in compiled[1]


def test_another_inductor_is_left_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    usual = cpp_wrapper_cpu.CppWrapperCpu.write_header
    with own_operations():
        assert cpp_wrapper_cpu.CppWrapperCpu.write_header is not usual
    assert cpp_wrapper_cpu.CppWrapperCpu.write_header is usual
    monkeypatch.delattr(cpp_wrapper_cpu, "CppWrapperCpu")
    with own_operations():
        assert not hasattr(cpp_wrapper_cpu, "CppWrapperCpu")
