"""What a verb is to those who kill it, and how much work it has done before and after."""

from __future__ import annotations

import functools
import mmap
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# Evaluations and training steps so far; forked processes write to the same memory.
_DONE = mmap.mmap(-1, 8)


class Twice(AssertionError):
    """Something is there twice."""


@dataclass(frozen=True)
class Verb:
    """A verb, as it is killed.

    Attributes
    ----------
    run : callable
        Resumes or starts in a folder.
    outcome : callable
        What it leaves there, to be compared with what it leaves when it is not killed.
    interval : int
        Evaluations, or steps of training, that a kill may cost: those from one checkpoint to the
        next, and those that every start takes.
    """

    run: Callable[[Path], object]
    outcome: Callable[[Path], Any]
    interval: int


def counted(owner: type, name: str) -> None:
    """Count the calls of a method from here on, as work."""
    method = getattr(owner, name)

    @functools.wraps(method)
    def counting(*arguments: Any, **options: Any) -> Any:
        _DONE[:] = (work() + 1).to_bytes(8, "little")
        return method(*arguments, **options)

    setattr(owner, name, counting)


def work() -> int:
    """Work done since the last :func:`forget`, in this process and in those it has forked."""
    return int.from_bytes(_DONE[:], "little")


def forget() -> None:
    """Count from zero."""
    _DONE[:] = bytes(8)
