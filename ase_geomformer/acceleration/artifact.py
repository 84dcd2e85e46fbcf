"""Compiled code of a potential, for any number of atoms, edges, far pairs, structures and waves."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ase_geomformer.graph.atom_graph import AtomGraph
from ase_geomformer.graph.pair_graph import PairGraph, Pairing
from ase_geomformer.layers.readout import energy_head
from ase_geomformer.physics.reciprocal import Multiples, multiples
from ase_geomformer.potential import Potential

# Of which those of the potential are compiled. Stresses of atoms are hardly ever asked for.
NOT_COMPILED = ("stresses",)
# What compiled code gives besides, of architectures that have them.
FEATURES = "features"
# By the kind of device: what loads a shared object, and what more than the file it is told.
RUNNERS: dict[str, tuple[str, Callable[[torch.device], tuple[str, ...]]]] = {
    "cpu": ("AOTIModelContainerRunnerCpu", lambda device: ()),
    "cuda": ("AOTIModelContainerRunnerCuda", lambda device: (str(device),)),
}


def compiled_properties(potential: Potential) -> tuple[str, ...]:
    """What compiled code of a potential gives, all of it at each call.

    Besides properties of the potential these are the features (N, D) of atoms that enter the last,
    linear layer of the energy.
    """
    names = tuple(name for name in potential.properties if name not in NOT_COMPILED)
    return names if energy_head(potential.architecture) is None else (*names, FEATURES)


def by_potential(potential: Potential, graph: AtomGraph, names: Sequence[str]) -> dict[str, Tensor]:
    """The same by the potential itself."""
    properties = [name for name in names if name != FEATURES]
    head = energy_head(potential.architecture)
    if FEATURES not in names or head is None:
        return potential(graph, properties)
    with head.observed() as found:
        results: dict[str, Tensor] = potential(graph, properties)
    return {**results, FEATURES: found[-1].detach()}


class Artifact:
    """A potential whose energies and gradients come from a shared object, and is called like it.

    The shared object is executed: it must come from a place that only the user can write to.
    Copies, also through pickle, load it again.

    Parameters
    ----------
    file : Path
        The shared object.
    potential : Potential
        What it was made of, which evaluates what it cannot: other properties, and structures
        without edges.
    key : str
        What it is called in the cache.

    Raises
    ------
    RuntimeError
        If it cannot be loaded.
    """

    def __init__(self, file: Path, potential: Potential, key: str = "") -> None:
        self.file, self.potential, self.key = file, potential, key
        self.properties = compiled_properties(potential)
        self._load()

    def _load(self) -> None:
        # What torch's own aoti_load_package makes in the end; that imports the compiler first, two
        # seconds, and copies the code to the system's temporary folder.
        device = self.potential.device
        name, place = RUNNERS[device.type]
        runner = getattr(getattr(torch._C, "_aoti", None), name, None)
        if runner is None:
            raise RuntimeError(f"torch {torch.__version__} has no loader of code for {device}")
        self._runner = runner(str(self.file), 1, *place(device))
        # Asking the potential would look through its terms at every call.
        self._needs_pairs = self.potential.far_cutoff > 0.0
        self._is_reciprocal = self.potential.is_reciprocal
        self._given = frozenset(self.properties)
        self._pairing: Pairing | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {n: getattr(self, n) for n in ("file", "potential", "key", "properties")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._load()

    def __call__(
        self, graph: AtomGraph, properties: Iterable[str] = ("energy", "forces")
    ) -> dict[str, Tensor]:
        """Evaluate a graph; arguments and results are those of :meth:`Potential.forward`.

        ``features`` may be among the properties.
        """
        names = tuple(properties)
        pairs = self._paired(graph) if self.serves(graph, names) else None
        if pairs is None:
            return by_potential(self.potential, graph, names)
        if self._is_reciprocal:
            graphs = pairs.split() if graph.num_structures > 1 else (pairs,)
            parts = [self._run(part, self._steps(part)) for part in graphs]
            return {name: torch.cat([part[name] for part in parts]) for name in names}
        found = self._run(pairs)
        return {name: found[name] for name in names}

    def _paired(self, graph: AtomGraph) -> PairGraph | None:
        """The pairs of a graph, of which most often only vectors are new."""
        pairing = self._pairing
        if pairing is None or not pairing.is_of(graph):
            pairing = self._pairing = Pairing.of(graph)
        return None if pairing is None else pairing.pairs(graph)

    def _run(self, graph: AtomGraph, steps: Multiples | None = None) -> dict[str, Tensor]:
        results: Sequence[Tensor] = self._runner.run(compiled_inputs(graph, steps))
        return dict(zip(self.properties, results, strict=True))

    def _steps(self, graph: AtomGraph) -> Multiples:
        """Waves to sum over, one at least: the code takes every length to be two or more."""
        needed = self.potential.waves(graph)
        assert needed is not None
        first, second, third = (max(waves, 1) for waves in needed)
        return multiples((first, second, third), graph.positions)

    def serves(self, graph: AtomGraph, names: Sequence[str]) -> bool:
        """Whether the compiled code has these properties, and takes such a graph."""
        return (
            graph.num_edges > 0
            and (graph.num_far_pairs > 0 or not self._needs_pairs)
            and self._given.issuperset(names)
        )


def compiled_inputs(graph: AtomGraph, steps: Multiples | None = None) -> list[Tensor]:
    """The tensors of a graph, and what sums over the reciprocal lattice need, where there are such.

    Those are over the waves of one cell: of one structure at a time, with its positions.
    """
    *needed, positions = graph.tensors
    return [*needed, positions[:0]] if steps is None else [*needed, positions, *steps]
