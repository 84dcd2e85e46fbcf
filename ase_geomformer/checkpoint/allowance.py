"""A limit on the memory for building a potential from a file."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode  # torch's notes name it there
from torch.utils._pytree import tree_leaves


class TooLargeError(ValueError):
    """A potential would take more memory than it may."""


class Allowance(TorchDispatchMode):
    """Limits the bytes of new tensors inside a ``with`` block.

    What an operation asks for is added up before it runs, and never taken off again.

    Raises
    ------
    TooLargeError
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
            raise TooLargeError(
                f"it asks for {self._asked / 1e9:.3g} GB, and no more than "
                f"{self.limit_bytes / 1e9:.3g} GB would be right"
            )
