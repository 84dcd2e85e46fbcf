"""The code of loops that a single thread runs without a team."""

from __future__ import annotations

import pytest
from torch._inductor.codegen import cpp

from ase_geomformer.acceleration.lone_thread import lone_thread

WRITTEN = """\
void kernel()
{
    {
        const auto region = [&]() __attribute__((always_inline))
        {
            int tid = omp_get_thread_num();
            first();
        }
        ;
        if (omp_get_max_threads() == 1)
        {
        region();
        }
        else
        {
        #pragma omp parallel
        region();
        }
    }
    after();
}
"""


def test_code_of_a_region() -> None:
    usual, code = cpp.WorkSharing, cpp.BracesBuffer()
    with lone_thread():
        code.writeline("void kernel()")
        with code.indent(), cpp.WorkSharing(code) as sharing:
            sharing.parallel(2)
            sharing.parallel(2)  # the same region
            code.writeline("first();")
            sharing.close()
            code.writeline("after();")
    assert code.getvalue() == WRITTEN
    assert cpp.WorkSharing is usual


def test_another_inductor_is_left_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(cpp, "WorkSharing")
    with lone_thread():
        assert not hasattr(cpp, "WorkSharing")
    assert not hasattr(cpp, "WorkSharing")
