"""What torch's compiler needs, and how a whole computation is given to it."""

from __future__ import annotations

import logging
import math
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor

from ase_geomformer.acceleration.decompositions import decompositions
from ase_geomformer.acceleration.threads import compiling
from ase_geomformer.layers.written_gradient import by_formula

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
    function: Callable[..., Sequence[Tensor]],
    inputs: Sequence[Tensor],
    backend: str,
    *,
    few_edges: bool = False,
) -> Compiled:
    """A function of tensors that differentiates inside, as one compiled graph.

    ``torch.compile`` does not look into ``torch.autograd.grad``. The computation is therefore
    traced into one graph of primitive operations first, and the backend is given that graph.
    It is called directly, as nothing about the inputs needs to be guarded: they always come in
    the shapes of ``inputs``, and a change of torch's global settings must not compile anew
    behind the user's back. On CUDA the results of a call are overwritten by the next.

    Parameters
    ----------
    function : callable
        From tensors to a sequence of tensors. Other tensors it uses, such as weights, must not
        be replaced later.
    inputs : sequence of Tensor
        The sizes, types and device that all calls will have.
    backend : str
        One of ``torch.compiler.list_backends(exclude_tags=())``.
    few_edges : bool
        As in :func:`compiler_backend`.

    Raises
    ------
    MiscompiledError
        If the compiled function gives something else for ``inputs``.
    """
    with torch.no_grad():
        graph = trace(function, *inputs)
        # What tracing knows of its inputs is no input for a compiler that asks for real ones.
        for node in graph.graph.find_nodes(op="placeholder"):
            node.meta.clear()
        captured = inputs[0].is_cuda
        with _quiet(), compiling():
            compiler = compiler_backend(backend, few_edges=few_edges, captured=captured)
            compiled: Any = compiler(graph, list(inputs))
        for _ in range(2 if captured else 0):  # The second call is captured, the third played.
            compiled(*inputs)
        check_same(compiled(*inputs), graph(*inputs), inputs)
    return compiled


def trace(function: Callable[..., Any], *inputs: Any) -> torch.fx.GraphModule:
    """The primitive operations of a function that may differentiate inside.

    Tracing writes down that a tensor can be seen in another shape where its rows lie in memory as
    torch's own kernels leave them. A compiler may lay out what it computes differently, so the
    graph asks for the shape only.
    """
    from torch.fx.experimental.proxy_tensor import make_fx

    with by_formula():
        traced = make_fx(function)(*inputs)
    for node in traced.graph.find_nodes(op="call_function", target=torch.ops.aten.view.default):
        node.target = torch.ops.aten.reshape.default
    traced.recompile()
    return traced


class MiscompiledError(RuntimeError):
    """Compiled code computes something else than what was compiled."""


def check_same(
    results: Sequence[Tensor], expected: Sequence[Tensor], inputs: Sequence[Tensor]
) -> None:
    """Compare what compiled code gives with what the code itself gives, far above rounding.

    A compiler that fuses what it must not says nothing. The tolerance is the square root of the
    spacing of the coarsest type among inputs and results, times the largest value where that is
    above one.

    Raises
    ------
    MiscompiledError
        If a result differs by more.
    """
    floats = {tensor.dtype for tensor in (*inputs, *expected) if tensor.is_floating_point()}
    tolerance = math.sqrt(max(torch.finfo(dtype).eps for dtype in floats))
    for result, reference in zip(results, expected, strict=True):
        undefined = result.isnan() & reference.isnan()  # the stress of a molecule
        error = (result - reference)[~undefined].abs()
        scale = reference[~undefined].abs()
        if error.numel() and not error.max() <= tolerance * scale.max().clamp(min=1.0):
            raise MiscompiledError(
                f"compiled code is off by {float(error.max()):.2g} in a result of shape "
                f"{tuple(reference.shape)}, a fault of torch {torch.__version__}; do not compile"
            )


def compiler_backend(
    name: str, *, few_edges: bool = False, captured: bool = False
) -> Callable[..., Any]:
    """A backend of ``torch.compile`` by its name, ``inductor`` with our decompositions.

    Parameters
    ----------
    name : str
    few_edges : bool
        Have inductor call operations from C++ rather than Python: half a millisecond less for the
        two hundred of a step. Memory then goes back to the system more often, which costs large
        structures more than that. And sum over edges by products.
    captured : bool
        Have inductor capture a call as a CUDA graph, which then is started as one. It is played
        from the third call on, and its results are overwritten by the next call.
    """
    from torch._dynamo.backends.registry import lookup_backend

    if name != "inductor":
        return lookup_backend(name)
    from torch._inductor.compile_fx import compile_fx

    table = decompositions(few_edges=few_edges)
    patches = {"cpp_wrapper": few_edges, "triton.cudagraphs": captured}
    return partial(compile_fx, decompositions=table, config_patches=patches)


@contextmanager
def _quiet() -> Iterator[None]:
    """Without inductor's word on each operation that C++ calls through a detour."""
    logger = logging.getLogger("torch._inductor.ir")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)
