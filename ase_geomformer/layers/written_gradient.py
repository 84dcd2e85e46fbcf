"""Functions whose gradient is written out, for evaluation.

Autograd records every operation, keeps what each of them read, and takes them back one by one.
Where weights are frozen and nothing is differentiated twice, a gradient written out by hand takes
half the operations. Training, Hessians and compilers get the formula that autograd follows.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import torch
from torch import Tensor

_by_formula = ContextVar("by_formula", default=False)


@contextmanager
def by_formula(wanted: bool = True) -> Iterator[None]:
    """Inside, every function is evaluated by its formula, as tracing and Hessians need it.

    Parameters
    ----------
    wanted : bool
        If not, all stays as it is outside.
    """
    token = _by_formula.set(wanted or _by_formula.get())
    try:
        yield
    finally:
        _by_formula.reset(token)


def is_by_formula() -> bool:
    """Whether functions are evaluated by their formula: wanted so, or torch looks into them."""
    return is_traced() or _by_formula.get()


def is_traced() -> bool:
    """Whether torch records operations or transforms them, so that numbers cannot be read."""
    return (
        torch.compiler.is_compiling()
        or torch._C._functorch.peek_interpreter_stack() is not None
        or torch._C._get_dispatch_mode(torch._C._TorchDispatchModeKey.PROXY) is not None
    )


class WrittenGradient(ABC):
    """A function of tensors with a gradient that is written out.

    Called with tensors it gives a tuple of tensors. Weights are not among its inputs: where one of
    them is trained, the formula is used.
    """

    @property
    @abstractmethod
    def weights(self) -> Iterable[Tensor]:
        """What else it depends on that may be trained."""

    @abstractmethod
    def formula(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """The outputs by operations that autograd follows any number of times."""

    @abstractmethod
    def evaluate(self, *inputs: Tensor) -> tuple[tuple[Tensor, ...], Any]:
        """The same outputs, and what :meth:`gradient` wants to be given. Nothing is recorded."""

    @abstractmethod
    def gradient(
        self, inputs: tuple[Tensor, ...], kept: Any, slopes: tuple[Tensor, ...]
    ) -> tuple[Tensor | None, ...]:
        """Gradients with respect to all inputs, from those with respect to the outputs.

        None stands for zero.
        """

    def __call__(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        if is_by_formula() or any(weight.requires_grad for weight in self.weights):
            return self.formula(*inputs)
        if not torch.is_grad_enabled():
            return self.evaluate(*inputs)[0]
        outputs: tuple[Tensor, ...] = _Written.apply(self, *inputs)
        return outputs


class _Written(torch.autograd.Function):
    """Evaluates a function; its gradient is the written one unless that is to be differentiated."""

    @staticmethod
    def forward(ctx: Any, function: WrittenGradient, *inputs: Tensor) -> tuple[Tensor, ...]:
        ctx.function = function
        ctx.save_for_backward(*inputs)
        outputs, ctx.kept = function.evaluate(*inputs)
        return outputs

    @staticmethod
    def backward(ctx: Any, *slopes: Any) -> Any:
        inputs = ctx.saved_tensors
        if not torch.is_grad_enabled() and not any(map(_is_batched, slopes)):
            return None, *ctx.function.gradient(inputs, ctx.kept, slopes)
        with torch.enable_grad():
            # Inputs may depend on each other: seen through a view of its own, each is one variable.
            views = [tensor.view_as(tensor) for tensor in inputs]
            outputs = ctx.function.formula(*views)
            wanted = [
                v for v, needed in zip(views, ctx.needs_input_grad[1:], strict=True) if needed
            ]
            # An output that depends on no input, such as a harmonic of degree 0, has no gradient.
            dependent = [
                pair for pair in zip(outputs, slopes, strict=True) if pair[0].requires_grad
            ]
            if not dependent:
                return (None,) * len(ctx.needs_input_grad)
            ends, starts = zip(*dependent, strict=True)
            found = iter(
                torch.autograd.grad(ends, wanted, starts, create_graph=True, allow_unused=True)
            )
        return None, *(next(found) if needed else None for needed in ctx.needs_input_grad[1:])


def _is_batched(tensor: Tensor) -> bool:
    """Whether a tensor stands for many, of which written gradients know nothing."""
    functorch = torch._C._functorch
    return functorch.is_batchedtensor(tensor) or functorch.is_legacy_batchedtensor(tensor)
