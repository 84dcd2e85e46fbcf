"""Loops of compiled code that a single thread runs without a team of threads.

A parallel region of OpenMP makes a team even where it is to have one thread, and ends with a call
of the system that wakes nobody: So3krates evaluates ethanol in 0.80 ms with them, and in 0.74
without.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

# The body of a parallel region is a function. OpenMP's division of a loop within, outside of any
# region, gives all of it to the thread that is there.
CALL = (
    ";",
    "if (omp_get_max_threads() == 1)",
    "{",
    "region();",
    "}",
    "else",
    "{",
    "#pragma omp parallel",
    "region();",
    "}",
)


@contextmanager
def lone_thread() -> Iterator[None]:
    """Inside, inductor writes such loops; as it writes them otherwise where it has changed."""
    from torch._inductor.codegen import cpp

    usual: Any = getattr(cpp, "WorkSharing", None)
    if usual is None:
        yield
        return

    class WorkSharing(usual):
        """Opens a parallel region in the code of a kernel, and closes it."""

        code: Any
        in_parallel: bool
        num_threads: int | None

        def parallel(self, threads: int) -> None:
            if self.in_parallel and threads != self.num_threads:
                self.close()
            if self.in_parallel:
                return
            self.num_threads, self.in_parallel = threads, True
            self.stack.enter_context(self.code.indent())
            self.code.writeline("const auto region = [&]() __attribute__((always_inline))")
            self.stack.callback(self.code.writelines, CALL)
            self.stack.enter_context(self.code.indent())
            self.code.writeline("int tid = omp_get_thread_num();")

    cpp.WorkSharing = WorkSharing  # type: ignore[misc]
    try:
        yield
    finally:
        cpp.WorkSharing = usual  # type: ignore[misc]
