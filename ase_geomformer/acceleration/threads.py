"""How many threads a graph is worth."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch

from ase_geomformer.graph.atom_graph import AtomGraph

# Up to here one thread is enough, C++ calls compiled operations, and compiled sums are products. By
# the latter two all three architectures gain for ethanol (72 edges); for aspirin (292) GeoMFormer
# lost more than the others gained. A second thread that is always awake gained up to 16 % for 250
# edges; one that had to be woken cost 80 to 150 %, and compiled ethanol took 4.1 ms, not 1.5.
FEW_EDGES = 256

# Packages and modules whose threads draw progress bars, serve notebooks, write logs or carry
# messages between processes: they compute nothing with torch.
HOUSEKEEPERS = (
    "rich",
    "tqdm",
    "IPython",
    "ipykernel",
    "zmq",
    "tensorboard",
    "execnet",
    "concurrent.futures.process",
    "multiprocessing.queues",
    "multiprocessing.resource_sharer",
)
_UNCHANGED = nullcontext()
# Threads that torch's compiler has left behind, waiting for more to compile.
_of_the_compiler: weakref.WeakSet[threading.Thread] = weakref.WeakSet()


def threads_worth(graph: AtomGraph) -> AbstractContextManager[None]:
    """One thread for a graph of few edges on a CPU, as many as there are for others.

    Matrix products of few rows are divided among threads that take longer to wake than to finish,
    the more so the more of them there are, or other programs run.

    The number is left alone where the process has another Python thread that could compute. Torch
    keeps a number for each thread, but one that computes for the first time takes over what was
    set last, and would be left with one.
    """
    threads = torch.get_num_threads()
    if (
        threads == 1
        or not graph.edge_vectors.is_cpu
        or graph.num_edges > FEW_EDGES
        or others_could_compute()
    ):
        return _UNCHANGED
    return _one_thread(threads)


@contextmanager
def _one_thread(threads: int) -> Iterator[None]:
    """One thread, and so many afterwards."""
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def others_could_compute() -> bool:
    """Whether this process has another Python thread that may use torch."""
    if threading.active_count() == 1:
        return False
    idle = {threading.current_thread(), *_of_the_compiler}
    return any(thread not in idle and not _keeps_house(thread) for thread in threading.enumerate())


@contextmanager
def compiling() -> Iterator[None]:
    """Threads that begin meanwhile, where no other thread could begin one, are the compiler's."""
    alone, before = not others_could_compute(), set(threading.enumerate())
    try:
        yield
    finally:
        if alone:
            _of_the_compiler.update(set(threading.enumerate()) - before)


def _keeps_house(thread: threading.Thread) -> bool:
    """Whether the thread's class or, for a plain thread, its function is of a housekeeper."""
    kind = type(thread)
    # Threading forgets the function when it is done.
    source = kind if kind.__module__ != "threading" else getattr(thread, "_target", None)
    module = f"{getattr(source, '__module__', '')}."
    return any(module.startswith(f"{name}.") for name in HOUSEKEEPERS)
