"""What torch's compiler needs, and how a whole computation is given to it."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

Compiled = Callable[..., Sequence[Tensor]]


def compiler_available(what: str) -> bool:
    """Whether torch can compile for the CPU of this machine; warns if not.

    Parameters
    ----------
    what : str
        What is to be compiled, as the warning names it.
    """
    from torch._inductor.cpp_builder import get_cpp_compiler
    from torch._inductor.exc import InvalidCxxCompiler

    try:
        get_cpp_compiler()
    except InvalidCxxCompiler:
        warnings.warn(
            f"no C++ compiler was found, so {what} runs uncompiled and slower; install g++ or "
            "turn compilation off to silence this",
            stacklevel=2,
        )
        return False
    return True


def compile_with_gradient(
    function: Callable[..., Sequence[Tensor]], inputs: Sequence[Tensor], backend: str
) -> Compiled:
    """A function of tensors that differentiates inside, as one compiled graph.

    ``torch.compile`` does not look into ``torch.autograd.grad``. The computation is therefore
    traced into one graph of primitive operations first, and the backend is given that graph.
    It is called directly, as nothing about the inputs needs to be guarded: they always come in
    the shapes of ``inputs``, and a change of torch's global settings must not compile anew
    behind the user's back.

    Parameters
    ----------
    function : callable
        From tensors to a sequence of tensors. Other tensors it uses, such as weights, must not
        be replaced later.
    inputs : sequence of Tensor
        The sizes, types and device that all calls will have.
    backend : str
        One of ``torch.compiler.list_backends(exclude_tags=())``.
    """
    from torch._dynamo.backends.registry import lookup_backend
    from torch.fx.experimental.proxy_tensor import make_fx

    with torch.no_grad():
        graph = make_fx(function)(*inputs)
        compiled: Any = lookup_backend(backend)(graph, list(inputs))
    return compiled
