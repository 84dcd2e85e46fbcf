"""Operations that synchronise with a GPU."""

from __future__ import annotations

from collections import Counter
from contextlib import ExitStack
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from ase_geomformer.layers.host import as_on_a_gpu

# The host reads a number, a result's size depends on numbers, or a linear system is factorized.
WAITING = {
    "_local_scalar_dense",
    "bincount",
    "equal",
    "linalg_eigh",
    "linalg_inv_ex",
    "linalg_lu_factor_ex",
    "_linalg_det",
    "masked_select",
    "nonzero",
    "repeat_interleave",
    "_unique2",
}


class Waits(TorchDispatchMode):
    """Counts these operations by name while it is entered, on whatever device, as on a GPU.

    Indexing with a mask is counted as the ``nonzero`` it is. Transfers between host and device are
    not seen, as there are none on a CPU.
    """

    def __init__(self) -> None:
        super().__init__()
        self.counts: Counter[str] = Counter()
        self._inside = ExitStack()

    def __enter__(self) -> Waits:
        self._inside.enter_context(as_on_a_gpu())
        super().__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)
        self._inside.close()

    def __torch_dispatch__(
        self, function: Any, types: Any, arguments: Any = (), options: Any = None
    ) -> Any:
        name = function.overloadpacket.__name__
        if name.startswith("index") and any(map(is_mask, arguments[1:2])):
            name = "nonzero"
        if name in WAITING:
            self.counts[name] += 1
        return function(*arguments, **(options or {}))


def is_mask(indices: Any) -> bool:
    """Whether one of several index tensors is a mask."""
    return isinstance(indices, list | tuple) and any(
        index is not None and index.dtype == torch.bool for index in indices
    )
