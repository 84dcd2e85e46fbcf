"""Predicted peak memory of an evaluation."""

from __future__ import annotations

import math
import weakref
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode  # torch's notes name it there
from torch.utils._pytree import tree_leaves

from ase_geomformer.graph.atom_graph import AtomGraph
from ase_geomformer.layers.edge_attention import FEW_EDGES, FEW_PAIRED
from ase_geomformer.machine.allocator import give_freed_memory_back
from ase_geomformer.machine.memory import budget_bytes, free_memory
from ase_geomformer.potential import Potential

# What the allocator takes beyond the tensors alive, operations for themselves, and gaps in memory
# that is kept. Resident memory grew by 1.3 to 1.4 times the tensors counted, and by up to 1.7 times
# where freed memory is kept (1728 to 2048 atoms of silicon, float32, a CPU).
OVERHEAD = 1.7
# The same for compiled code, which keeps less: resident memory grew by 0.4 to 0.85 times the
# tensors counted without it (4000 to 8000 atoms of copper and silicon, all three architectures;
# benchmarks/scaling.py --compile).
OVERHEAD_COMPILED = 1.0


class GraphSize(NamedTuple):
    """Atoms, edges and far pairs of a graph."""

    num_atoms: int
    num_edges: int
    num_far_pairs: int

    @classmethod
    def of(cls, graph: AtomGraph) -> GraphSize:
        return cls(graph.num_atoms, graph.num_edges, graph.num_far_pairs)

    def joined(self, other: GraphSize) -> GraphSize:
        """Of two graphs as one."""
        return GraphSize(*map(sum, zip(self, other, strict=True)))


NOTHING = GraphSize(0, 0, 0)


def _probes(atoms: int, edges: int, more: int) -> tuple[GraphSize, ...]:
    """A graph, one of more edges, and one of four times the atoms."""
    sizes = (atoms, edges), (atoms, more), (4 * atoms, edges)
    return tuple(GraphSize(*size, 0) for size in sizes)


# What predictions are made of, by the number of edges up to which graphs are evaluated alike: large
# enough that the share of a single atom is seen, small enough to take milliseconds.
PROBES = {
    FEW_EDGES: _probes(12, 256, 1024),
    FEW_PAIRED: _probes(128, FEW_EDGES + 256, FEW_PAIRED - 256),
    math.inf: _probes(128, FEW_PAIRED + 256, 2 * FEW_PAIRED + 256),
}
# Enough that the peak is where far pairs are.
FAR_PAIRS_PER_EDGE = 4
# Of the probes, as in a liquid, Å^3.
VOLUME_PER_ATOM = 15.0


class PeakMemory(TorchDispatchMode):
    """Counts the bytes of the tensors made and still alive inside a ``with`` block.

    Attributes
    ----------
    peak : int
        The largest sum so far. Work space within an operation is not seen.
    """

    def __init__(self) -> None:
        super().__init__()
        self.peak = 0
        self._alive = 0
        self._known: set[int] = set()

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
        # Views and results written in place live in storage that was there before.
        given = {id(_storage(leaf)) for leaf in tree_leaves((args, kwargs)) if _is_tensor(leaf)}
        result = func(*args, **kwargs)
        for leaf in tree_leaves(result):
            if _is_tensor(leaf) and id(_storage(leaf)) not in given | self._known:
                self._count(_storage(leaf))
        return result

    def _count(self, storage: torch.UntypedStorage) -> None:
        size, key = storage.nbytes(), id(storage)
        self._alive += size
        self._known.add(key)
        self.peak = max(self.peak, self._alive)
        weakref.finalize(storage, self._forget, key, size)

    def _forget(self, key: int, size: int) -> None:
        self._alive -= size
        self._known.discard(key)


class MemoryModel:
    """Predicts the peak memory of evaluating a potential, linear in atoms, edges and far pairs.

    The coefficients come from evaluating small random graphs and counting the bytes of all tensors
    alive at the worst moment, forces and stress included; so they hold for any architecture and
    follow its settings and type.

    Parameters
    ----------
    potential : Potential
        Must not be changed afterwards.
    """

    def __init__(self, potential: Potential) -> None:
        self.potential = potential
        self._shares: dict[float, tuple[float, float, float]] = {}

    def __call__(self, size: GraphSize, *, compiled: bool = False) -> float:
        """Bytes that evaluating a graph of this size takes at its peak, besides the weights."""
        shares = self.bytes_per_item(size.num_edges)
        overhead = OVERHEAD_COMPILED if compiled else OVERHEAD
        return overhead * sum(number * share for number, share in zip(size, shares, strict=True))

    def bytes_per_item(self, num_edges: int) -> tuple[float, float, float]:
        """Measured bytes per atom, edge and far pair, in graphs of about that many edges."""
        limit = next(limit for limit in PROBES if num_edges <= limit)
        if limit not in self._shares:
            self._shares[limit] = self._measured(PROBES[limit])
        return self._shares[limit]

    def _measured(self, probes: Sequence[GraphSize]) -> tuple[float, float, float]:
        small, more_edges, more_atoms = (self._measure(size) for size in probes)
        per_edge = (more_edges - small) / (probes[1].num_edges - probes[0].num_edges)
        per_atom = (more_atoms - small) / (probes[2].num_atoms - probes[0].num_atoms)
        per_far_pair = 0.0
        if self.potential.far_cutoff:
            pairs = FAR_PAIRS_PER_EDGE * probes[0].num_edges
            with_pairs = self._measure(probes[0]._replace(num_far_pairs=pairs))
            per_far_pair = (with_pairs - small) / pairs
        return max(per_atom, 0.0), max(per_edge, 0.0), max(per_far_pair, 0.0)

    def _measure(self, size: GraphSize) -> int:
        names = [name for name in ("forces", "stress") if name in self.potential.properties]
        graph = random_graph(self.potential, size)
        with torch.inference_mode(False), PeakMemory() as memory:
            self.potential(graph, names)
        return memory.peak


def random_graph(potential: Potential, size: GraphSize) -> AtomGraph:
    """A graph of the given size with the potential's elements and random edges and their reverses.

    The number of edges is even. Where the potential needs far pairs and none are wanted, it has
    one.
    """
    generator = torch.Generator().manual_seed(0)
    atoms, edges, pairs = size
    pairs = max(pairs, int(potential.far_cutoff > 0))

    def vectors(number: int) -> Tensor:
        directions = torch.randn(number, 3, generator=generator, dtype=torch.float64)
        lengths = torch.linspace(0.3, 0.99, number, dtype=torch.float64) * potential.cutoff
        return torch.nn.functional.normalize(directions, dim=1) * lengths[:, None]

    elements = torch.tensor(potential.elements)
    first = torch.arange(edges // 2) * atoms // (edges // 2)
    second = (first + torch.randint(1, atoms, first.shape, generator=generator)) % atoms
    receivers, order = torch.cat([first, second]).sort(stable=True)
    one_way = vectors(len(first))
    side = (VOLUME_PER_ATOM * atoms) ** (1 / 3)
    graph = AtomGraph(
        atomic_numbers=elements[torch.arange(atoms) % len(elements)],
        edge_index=torch.stack([receivers, torch.cat([second, first])[order]]),
        edge_vectors=torch.cat([one_way, -one_way])[order],
        batch=torch.zeros(atoms, dtype=torch.int64),
        charge=torch.zeros(1, dtype=torch.float64),
        spin=torch.ones(1, dtype=torch.float64),
        cell=side * torch.eye(3, dtype=torch.float64)[None],
        far_index=torch.randint(atoms, (2, pairs), generator=generator).sort(dim=1).values,
        far_vectors=vectors(pairs),
        positions=side * torch.rand(atoms, 3, generator=generator, dtype=torch.float64),
    )
    return graph.to(potential.device, potential.dtype)


class MemoryGuard:
    """Refuses graphs that do not fit into free memory, before any is allocated.

    Parameters
    ----------
    potential : Potential
        Must not be changed afterwards.
    """

    # Below, the answer is yes and not worth the prediction.
    SMALL = 2048

    def __init__(self, potential: Potential) -> None:
        self.model = MemoryModel(potential)
        self._passed = 0.0

    def check(self, size: GraphSize, *, compiled: bool = False) -> None:
        """Raise ValueError if evaluating a graph of this size needs more memory than is free.

        Parameters
        ----------
        size : GraphSize
        compiled : bool
            Whether compiled code evaluates it, which needs less.
        """
        if sum(size) <= self.SMALL:
            return
        needed = self.model(size, compiled=compiled)
        # What has been evaluated once can be evaluated again.
        if needed <= self._passed:
            return
        device = self.model.potential.device
        free = free_memory(device)
        if needed > free and device.type == "cpu":
            give_freed_memory_back()
            free = free_memory(device)
        if needed > free:
            raise ValueError(
                f"evaluating {size.num_atoms} atoms with {size.num_edges} edges"
                + (f" and {size.num_far_pairs} far pairs" if size.num_far_pairs else "")
                + f" needs about {needed / 1e9:.3g} GB, and only {free / 1e9:.3g} GB are free on "
                f"{device}; {self._remedy()}"
            )
        self._passed = needed

    def predicted_bytes(self, graph: AtomGraph) -> float:
        """Bytes that evaluating a graph takes at its peak, besides the weights."""
        return self.model(GraphSize.of(graph))

    @property
    def budget_bytes(self) -> float:
        """Bytes that one batch may take on the potential's device."""
        return budget_bytes(self.model.potential.device)

    def _remedy(self) -> str:
        single = "use dtype='float32', which needs half of it; or " if self._is_double() else ""
        return f"{single}use a smaller structure or a device with more memory"

    def _is_double(self) -> bool:
        return self.model.potential.dtype == torch.float64


def _is_tensor(leaf: object) -> bool:
    return isinstance(leaf, Tensor)


def _storage(tensor: Tensor) -> torch.UntypedStorage:
    return tensor.untyped_storage()
