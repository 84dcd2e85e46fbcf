"""Smooth activation functions by name."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor
from torch.nn import functional


def identity(values: Tensor) -> Tensor:
    """The values themselves."""
    return values


ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "silu": functional.silu,
    "gelu": functional.gelu,
    "softplus": functional.softplus,
    "tanh": functional.tanh,
    "identity": identity,
}
