"""How many threads a graph is worth."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from ase_geomformer.graph.atom_graph import AtomGraph

# Up to here one thread is enough, C++ calls compiled operations, and compiled sums are products. By
# the latter two all three architectures gain for ethanol (72 edges); for aspirin (292) GeoMFormer
# lost more than the others gained. A second thread that is always awake gained up to 16 % for 250
# edges; one that had to be woken cost 80 to 150 %, and compiled ethanol took 4.1 ms, not 1.5.
FEW_EDGES = 256


@contextmanager
def threads_worth(graph: AtomGraph) -> Iterator[None]:
    """One thread for a graph of few edges on a CPU, as many as there are for others.

    Matrix products of few rows are divided among threads that take longer to wake than to finish,
    the more so the more of them there are, or other programs run.
    """
    threads = torch.get_num_threads()
    if threads == 1 or not graph.edge_vectors.is_cpu or graph.num_edges > FEW_EDGES:
        yield
        return
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
