"""Smooth activation functions by name."""

from __future__ import annotations

from collections.abc import Callable

import torch
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

# By function: from slopes with respect to its values, and its arguments, to those of the latter.
SLOPES: dict[Callable[[Tensor], Tensor], Callable[[Tensor, Tensor], Tensor]] = {
    functional.silu: torch.ops.aten.silu_backward,
    functional.gelu: torch.ops.aten.gelu_backward,
    functional.softplus: lambda slopes, values: slopes * torch.sigmoid(values),
    functional.tanh: lambda slopes, values: torch.ops.aten.tanh_backward(slopes, values.tanh()),
    identity: lambda slopes, _: slopes,
}
