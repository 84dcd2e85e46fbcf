"""Operations that are part of compiled code: products, sums over edges, orders of indices.

Inductor calls torch for them. For the nine atoms of ethanol most of such a call goes into finding
what to call, copying matrices into another order and making results, and MKL leaves the wider
registers of AMD's processors unused besides. Here each becomes a call of a function in the shared
object itself, for tensors in an order that it can read as they are; torch does all others.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_FOLDER = Path(__file__).parent


@contextmanager
def own_operations() -> Iterator[None]:
    """Inside, inductor writes such calls; as it writes them otherwise where it has changed."""
    from torch._inductor.codegen import cpp_wrapper_cpu

    usual: Any = getattr(cpp_wrapper_cpu, "CppWrapperCpu", None)
    write_header = getattr(usual, "write_header", None)
    if write_header is None:
        yield
        return

    def write_more(wrapper: Any) -> None:
        write_header(wrapper)
        wrapper.header.splice(_source("calls.h"))
        wrapper.kernel_declarations.splice(_source("kernels.h"))

    usual.write_header = write_more
    try:
        yield
    finally:
        usual.write_header = write_header


def _source(name: str) -> str:
    """A file of this folder, with what it includes from here."""
    text = (_FOLDER / name).read_text(encoding="utf-8")
    return re.sub(r'#include "(\w+\.h)"', lambda match: _source(match[1]), text)
