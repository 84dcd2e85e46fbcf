"""Compiled evaluation: energy and gradient of a potential as one graph of fused operations."""

from __future__ import annotations

import logging
import time
import warnings
from collections.abc import Hashable, Iterable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ase_geomformer.acceleration.buckets import Buckets, Size
from ase_geomformer.acceleration.compiler import (
    Compiled,
    compile_with_gradient,
    compiler_available,
)
from ase_geomformer.acceleration.padding import GhostFilling
from ase_geomformer.acceleration.threads import FEW_EDGES
from ase_geomformer.graph.atom_graph import AtomGraph
from ase_geomformer.graph.padding import ghost_graph
from ase_geomformer.physics.reciprocal import Waves, multiples
from ase_geomformer.potential import Potential

logger = logging.getLogger(__name__)

PER_STRUCTURE = ("energy", "stress")
# Waves along a lattice vector beyond those needed that are not worth compiling anew.
SPARE_WAVES = 2


class Fitted(NamedTuple):
    """A compiled function, and what fills graphs up to its size."""

    fill: GhostFilling
    function: Compiled


class CompiledPotential:
    """A potential that compiles itself for the graphs it meets, and is called like it.

    Graphs are padded with ghost atoms, edges and structures, which no result contains, to sizes
    that leave some room, see :mod:`ase_geomformer.acceleration.buckets`. The first graph, and later
    one that no size fits, takes as long as the compiler does, about a minute. Each combination of
    properties, type, device and number of threads is compiled on its own. Results equal those of
    the potential within rounding.

    Where there is no compiler, or compilation fails, it warns once and evaluates the potential as
    it is. Copies, also through pickle, compile anew when they are first called. Torch keeps what
    it compiles in ``TORCHINDUCTOR_CACHE_DIR``, by default in the system's temporary folder, so
    that the same potential compiles faster the next time.

    Parameters
    ----------
    potential : Potential
        Must not be changed afterwards.
    backend : str
        Backend of ``torch.compile``; ``"eager"`` only pads.

    Attributes
    ----------
    compilations : int
        How often something was compiled.
    """

    def __init__(self, potential: Potential, *, backend: str = "inductor") -> None:
        self.potential = potential
        self.backend = backend
        self._forget()

    def _forget(self) -> None:
        self.compilations = 0
        self._functions: dict[Hashable, tuple[Buckets, dict[Size, Fitted]]] = {}
        self._usable: bool | None = None
        # Of sums over the reciprocal lattice, that code was compiled for.
        self._waves: set[Waves] = set()

    def __getstate__(self) -> dict[str, Any]:
        # Compiled functions belong to this process, whether there is a compiler to this machine.
        return {"potential": self.potential, "backend": self.backend}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._forget()

    def __call__(
        self, graph: AtomGraph, properties: Iterable[str] = ("energy", "forces")
    ) -> dict[str, Tensor]:
        """Evaluate a graph; arguments and results are those of :meth:`Potential.forward`."""
        names = tuple(sorted(set(properties)))
        self.potential.check_pairs(graph)  # Ghosts would hide that there are none.
        if self._usable is None:
            self._usable = self.backend != "inductor" or self._has_compiler()
        if not self._usable:
            return self.potential(graph, names)
        try:
            return self._evaluate(graph, names)
        except Exception as error:
            # What is wrong with the request or the graph is an error without compilation, too.
            results = self.potential(graph, names)
            self._usable = False
            # Compilers quote all the code that they could not deal with: that is for the log.
            logger.debug("compilation failed", exc_info=error)
            reason = next(iter(str(error).splitlines()), "") or type(error).__name__
            warnings.warn(
                f"the potential could not be compiled and is evaluated as it is, slower: {reason}",
                stacklevel=2,
            )
            return results

    def _has_compiler(self) -> bool:
        return self.potential.device.type != "cpu" or compiler_available("the potential")

    def _evaluate(self, graph: AtomGraph, names: tuple[str, ...]) -> dict[str, Tensor]:
        kind: Hashable = (
            names,
            bool(graph.positions.shape[0]),
            graph.edge_vectors.dtype,
            graph.edge_vectors.device,
            torch.get_num_threads(),  # which the compiled code fixes
            waves := self._waves_for(graph),
        )
        buckets, functions = self._functions.setdefault(kind, (Buckets(), {}))
        size = buckets.choose(Size.of(graph))
        if size not in functions:
            functions[size] = self._compile(graph, names, size, waves)
        fill, function = functions[size]
        with torch.no_grad():
            results = function(*fill(graph))
        if graph.edge_vectors.is_cuda:  # where the next call overwrites them
            results = [values.clone() for values in results]
        return {
            name: values[: graph.num_structures if name in PER_STRUCTURE else graph.num_atoms]
            for name, values in zip(names, results, strict=True)
        }

    def _waves_for(self, graph: AtomGraph) -> Waves | None:
        """Waves to sum over: those of code that is there, if enough and not far too many."""
        needed = self.potential.waves(graph)
        if needed is None:
            return None
        fitting = [
            waves
            for waves in self._waves
            if all(n <= w <= n + SPARE_WAVES for n, w in zip(needed, waves, strict=True))
        ]
        # One more than is needed: cells breathe.
        first, second, third = needed
        waves = min(fitting, default=(first + 1, second + 1, third + 1))
        self._waves.add(waves)
        return waves

    def _compile(
        self, graph: AtomGraph, names: tuple[str, ...], size: Size, waves: Waves | None
    ) -> Fitted:
        def evaluate(*tensors: Tensor) -> tuple[Tensor, ...]:
            graph = AtomGraph(*tensors)
            with self.potential.with_waves(waves and multiples(waves, graph.positions)):
                results = self.potential(graph, names)
            return tuple(results[name] for name in names)

        logger.info(
            "compiling for %d structures of %d atoms and %d edges",
            size.num_structures,
            size.num_atoms,
            size.num_edges,
        )
        start = time.perf_counter()
        ghosts = ghost_graph(
            graph,
            size.num_atoms,
            size.num_edges,
            self.potential.cutoff,
            size.num_far_pairs,
            size.num_structures,
        )
        fill = GhostFilling(ghosts)
        compiled = compile_with_gradient(
            evaluate,
            fill(graph),
            self.backend,
            few_edges=graph.edge_vectors.is_cpu and size.num_edges <= FEW_EDGES,
        )
        self.compilations += 1
        logger.info("compiled in %.1f s", time.perf_counter() - start)
        return Fitted(fill, compiled)
