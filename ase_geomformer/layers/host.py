"""Whether the host may read what tensors hold.

On a CPU it may, and numbers decide what need not be computed. On a GPU it would wait for all that
was begun, so that everything is computed there.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import torch
from torch import Tensor

_as_on_a_gpu = ContextVar("as_on_a_gpu", default=False)


def may_read(tensor: Tensor) -> bool:
    """Whether reading the numbers of a tensor waits for nothing; a compiler cannot read them."""
    if torch.compiler.is_compiling():
        return False
    return tensor.is_cpu and not _as_on_a_gpu.get()


@contextmanager
def as_on_a_gpu() -> Iterator[None]:
    """Inside, numbers are not read on a CPU either: for tests of what a GPU is asked to do."""
    token = _as_on_a_gpu.set(True)
    try:
        yield
    finally:
        _as_on_a_gpu.reset(token)
