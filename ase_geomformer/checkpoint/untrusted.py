"""Reading files that others made: nothing in them is taken for granted.

Errors are ValueErrors that name the fault; whoever reads a file adds which one it is.
"""

from __future__ import annotations

import json
import math
import re
import stat
from pathlib import Path
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode  # torch's notes name it there
from torch.utils._pytree import tree_leaves

# Levels of brackets in a card: ours have five.
DEEPEST = 50


def read_regular_file(path: Path, limit_bytes: float) -> bytes:
    """The content of a file, which pipes and devices, that may never end, are not.

    Links are followed, as caches of downloads are made of them.

    Raises
    ------
    OSError
        If it is not there or not allowed.
    ValueError
        If it is no regular file or too large to be read.
    """
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise ValueError("it is not a regular file")
    if status.st_size > limit_bytes:
        raise ValueError(
            f"its {status.st_size / 1e9:.3g} GB are more than the {limit_bytes / 1e9:.3g} GB that "
            "may be read"
        )
    return path.read_bytes()


def parse_json(content: bytes) -> Any:
    """JSON by the letter of its standard: no NaN, no infinity, no bottomless nesting."""

    def refuse(constant: str) -> None:
        raise ValueError(f"{constant} is not a number in JSON")

    text = content.decode("utf-8")
    # Beforehand: where the interpreter's recursion limit has been raised, deep nesting ends the
    # process instead of the reading.
    if _depth(text) > DEEPEST:
        raise ValueError("it is nested too deeply")
    return json.loads(text, parse_constant=refuse)


def _depth(text: str) -> int:
    """How deep the brackets of a JSON text go, those in strings left out."""
    deepest = depth = 0
    for bracket in re.findall(r"[\[\]{}]", re.sub(r'"(?:[^"\\]|\\.)*"', "", text)):
        depth += 1 if bracket in "[{" else -1
        deepest = max(deepest, depth)
    return deepest


class Allowance(TorchDispatchMode):
    """Refuses to make tensors beyond so many bytes inside a ``with`` block.

    What an operation asks for is added up before it runs, and never taken off again.

    Raises
    ------
    ValueError
        From the operation that goes too far, before it takes any memory.
    """

    def __init__(self, limit_bytes: float) -> None:
        super().__init__()
        self.limit_bytes = limit_bytes
        self._asked = 0.0

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        # Torch would import its compiler, a second and a half, to keep it away from this method.
        return False

    def __torch_dispatch__(
        self,
        func: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, torch.Tensor)]
        if not tensors and args and isinstance(args[0], list | tuple):
            # What makes tensors of nothing has their shape first.
            kind = kwargs.get("dtype") or torch.get_default_dtype()
            self._take(math.prod(args[0]) * kind.itemsize)
            return func(*args, **kwargs)
        result = func(*args, **kwargs)
        if not any(result is tensor for tensor in tensors):
            leaves = (leaf for leaf in tree_leaves(result) if isinstance(leaf, torch.Tensor))
            self._take(sum(leaf.untyped_storage().nbytes() for leaf in leaves))
        return result

    def _take(self, more_bytes: float) -> None:
        self._asked += more_bytes
        if self._asked > self.limit_bytes:
            raise ValueError(
                f"it asks for {self._asked / 1e9:.3g} GB, and no more than "
                f"{self.limit_bytes / 1e9:.3g} GB would be right"
            )
