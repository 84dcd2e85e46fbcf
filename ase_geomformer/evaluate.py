"""Evaluation of many structures at once, in batches that fit the memory."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property
from itertools import islice
from typing import Any, Protocol, cast, runtime_checkable

import torch
from ase import Atoms
from ase.calculators.calculator import Calculator, PropertyNotImplementedError

from ase_geomformer.calculator import PotentialCalculator
from ase_geomformer.graph.atom_graph import AtomGraph
from ase_geomformer.graph.joint import graphs
from ase_geomformer.graph.structure import electrons, geometry
from ase_geomformer.neighbors.problem import complete_cells
from ase_geomformer.physics import boundaries_of
from ase_geomformer.potential import Potential
from ase_geomformer.runs.foreign import takes_pymatgen
from ase_geomformer.runs.report import tracked
from ase_geomformer.runtime.domain import DomainCheck
from ase_geomformer.runtime.memory_model import NOTHING, GraphSize, MemoryGuard
from ase_geomformer.runtime.prepared import PreparedPotential, Source, prepare
from ase_geomformer.runtime.results import check_request
from ase_geomformer.runtime.settings import CalculatorSettings, takes_settings

# What a potential is evaluated from.
_SOURCES = (str, os.PathLike, Potential, PreparedPotential, PotentialCalculator)


@runtime_checkable
class Evaluator(Protocol):
    """Evaluates lists of structures; :func:`as_evaluator` makes one of any calculator."""

    @property
    def calculator(self) -> Calculator:
        """A calculator with the same settings, for single structures."""

    def __call__(
        self, structures: Iterable[Atoms], properties: Sequence[str] = ..., *, progress: bool = ...
    ) -> list[dict[str, Any]]:
        """The properties of each structure, in order, by ASE's names and in ASE's shapes."""


@takes_settings
class BatchEvaluator:
    """Evaluates structures in batches, with a potential that is prepared once.

    Parameters
    ----------
    potential : str, path, Potential, PreparedPotential or PotentialCalculator
        A calculator lends the potential that it has prepared: device, dtype, backend of the
        neighbour list, radial tables and compiled code, unless other settings are given.
    settings : CalculatorSettings, optional
        The keywords below as one object; single keywords win over it.
    max_edges : int, optional
        Edges plus atoms, and a tenth of the far pairs, in a batch; a larger structure is a batch
        of its own. Left out, batches take as much memory as is predicted to be 64 MiB on a CPU,
        half of what is free on a GPU; see
        :class:`~ase_geomformer.runtime.memory_model.MemoryModel`.

    Attributes
    ----------
    prepared : PreparedPotential
    """

    def __init__(
        self,
        potential: Source | PotentialCalculator,
        settings: CalculatorSettings | None = None,
        *,
        max_edges: int | None = None,
        **keywords: Any,
    ) -> None:
        if max_edges is not None and max_edges < 1:
            raise ValueError(f"max_edges must be at least 1, not {max_edges}")
        self.prepared = prepare(potential, settings, **keywords)
        self._max_edges = max_edges
        self._domain = DomainCheck(self.prepared.settings.domain)

    @property
    def potential(self) -> Potential:
        """The potential that is evaluated."""
        return self.prepared.potential

    @cached_property
    def calculator(self) -> PotentialCalculator:
        """A calculator of the same prepared potential, for single structures."""
        return PotentialCalculator(self.prepared)

    def adapted(self, change: Callable[[PreparedPotential], PreparedPotential]) -> Any:
        """An evaluator of the potential that a function gives for its own; itself if the same."""
        prepared = change(self.prepared)
        if prepared is self.prepared:
            return self
        return type(self)(prepared, max_edges=self._max_edges)

    def __call__(
        self,
        structures: Iterable[Atoms],
        properties: Sequence[str] = ("energy", "forces"),
        *,
        progress: bool = False,
    ) -> list[dict[str, Any]]:
        """The properties of each structure, as :func:`evaluate_many` gives them."""
        structures = list(structures)
        properties = (properties,) if isinstance(properties, str) else tuple(properties)
        _check(structures, self.prepared, properties)
        # Those that share their long-range sums, in order; their results then in the given order.
        alike: dict[PreparedPotential, list[int]] = {}
        for index, atoms in enumerate(structures):
            alike.setdefault(self.prepared.fitting(boundaries_of(atoms)), []).append(index)
        order = [index for indices in alike.values() for index in indices]
        ordered = iter(tracked([structures[index] for index in order], "Evaluating", progress))
        results: list[dict[str, Any]] = []
        with torch.inference_mode(False):
            for prepared, indices in alike.items():
                found_graphs = self._graphs(prepared, islice(ordered, len(indices)))
                # One structure is one batch, whatever memory it is predicted to take.
                several = len(indices) > 1
                for graph in self._batches(prepared, found_graphs) if several else found_graphs:
                    own = order[len(results) : len(results) + graph.num_structures]
                    members = [structures[index] for index in own]
                    here = graph.to(prepared.device)
                    results += self._results(prepared, here, members, properties)
        next(ordered, None)  # so that a progress bar is seen to end
        return [result for _, result in sorted(zip(order, results, strict=True), key=_first)]

    def _results(
        self,
        prepared: PreparedPotential,
        graph: AtomGraph,
        members: list[Atoms],
        properties: Sequence[str],
    ) -> list[dict[str, Any]]:
        """Results of a batch, whose domain is looked at first now and then."""
        potential = prepared.potential
        if not self._domain.due(potential, new=prepared.gives_features):
            return prepared.results(graph, members, properties)
        results, features = prepared.results_and_features(graph, members, properties)
        self._domain.check(potential, graph, members, features)
        return results

    def _graphs(
        self, prepared: PreparedPotential, structures: Iterable[Atoms]
    ) -> Iterator[AtomGraph]:
        # One transfer of a whole batch is faster than building small graphs on a GPU.
        return graphs(
            structures,
            prepared.potential.cutoff,
            far_cutoff=prepared.potential.far_cutoff,
            neighbors=prepared.settings.neighbors,
            dtype=prepared.dtype,
        )

    def _batches(
        self, prepared: PreparedPotential, graphs: Iterable[AtomGraph]
    ) -> Iterator[AtomGraph]:
        """Consecutive structures together, as many as the limit allows, one at least."""
        memory = prepared.memory
        limit = memory.budget_bytes if self._max_edges is None else self._max_edges
        batch: list[AtomGraph] = []
        # Of the batch as one graph, which is not what its members take one by one.
        total = NOTHING
        for graph in graphs:
            whole = self._cost(memory, GraphSize.of(graph)) <= limit
            for part in [graph] if whole else graph.split():
                size = GraphSize.of(part)
                if batch and self._cost(memory, total.joined(size)) > limit:
                    yield AtomGraph.join(batch)
                    batch, total = [], NOTHING
                batch.append(part)
                total = total.joined(size)
        if batch:
            yield AtomGraph.join(batch)

    def _cost(self, memory: MemoryGuard, size: GraphSize) -> float:
        """Cost of a graph of this size in the unit of the limit: bytes, or edges."""
        if self._max_edges is None:
            return memory.model(size)
        # Far pairs are many, but each takes little.
        return size.num_edges + size.num_atoms + size.num_far_pairs // 10


class SerialEvaluator:
    """Evaluates structures one after the other with any ASE calculator."""

    def __init__(self, calculator: Calculator) -> None:
        self.calculator = calculator

    def adapted(self, change: Callable[[PreparedPotential], PreparedPotential]) -> Any:
        """An evaluator with the calculator's potentials changed, if it has any of ours."""
        if not hasattr(self.calculator, "adapted"):
            return self
        calculator = self.calculator.adapted(change)
        return self if calculator is self.calculator else type(self)(calculator)

    def __call__(
        self,
        structures: Iterable[Atoms],
        properties: Sequence[str] = ("energy", "forces"),
        *,
        progress: bool = False,
    ) -> list[dict[str, Any]]:
        """The properties of each structure, by ASE's names."""
        properties = (properties,) if isinstance(properties, str) else tuple(properties)
        return [
            {name: self.calculator.get_property(name, atoms) for name in properties}
            for atoms in tracked(list(structures), "Evaluating", progress)
        ]


@takes_settings
def as_evaluator(
    source: Source | Calculator | Evaluator,
    settings: CalculatorSettings | None = None,
    **keywords: Any,
) -> Evaluator:
    """An evaluator of lists: in batches with a potential, one by one with other calculators.

    Parameters
    ----------
    source : str, path, Potential, ASE calculator or Evaluator
        A potential by its name, path or itself, a calculator of one, any other ASE calculator,
        or an evaluator, which is returned as it is.
    settings : CalculatorSettings, optional
        For a potential: the keywords below as one object; single keywords win over it.
    """
    if isinstance(source, Evaluator):
        return source
    if isinstance(source, _SOURCES):
        return BatchEvaluator(source, settings, **keywords)
    if not hasattr(source, "get_property"):
        raise TypeError(
            "give a potential by its name, path or itself, or an ASE calculator, not "
            f"{type(source).__name__}"
        )
    return SerialEvaluator(source)


@takes_settings
@takes_pymatgen()
def evaluate_many(
    structures: Iterable[Atoms],
    potential: Source | PotentialCalculator,
    properties: Sequence[str] = ("energy", "forces"),
    *,
    max_edges: int | None = None,
    progress: bool = False,
    **keywords: Any,
) -> list[dict[str, Any]]:
    """Evaluate structures in batches; only the properties asked for are computed.

    Parameters
    ----------
    structures : iterable of ase.Atoms
        Left as they are, their calculators too.
    potential : str, path, Potential, PreparedPotential or PotentialCalculator
        A calculator lends the potential that it has prepared, with its device, dtype, radial
        tables and compiled code, so that one call costs no more than a step of the calculator.
    properties : sequence of str
        ASE's names: energy, free_energy, energies, forces, stress, stresses; charges and dipole
        where the potential has them.
    max_edges : int, optional
        As in :class:`BatchEvaluator`.
    progress : bool
        Show a progress bar.

    Returns
    -------
    list of dict
        The properties of each structure, in order, as
        :func:`~ase_geomformer.runtime.results.to_ase` shapes them. They equal those
        of one-by-one evaluation within rounding.

    Raises
    ------
    PropertyNotImplementedError, ValueError
        If a structure cannot be evaluated; the message says which. All structures are checked
        before the first is evaluated.
    """
    if isinstance(structures, _SOURCES):  # the order of earlier versions
        return evaluate_many(
            cast(Iterable[Atoms], potential), structures, properties,
            max_edges=max_edges, progress=progress, **keywords,
        )  # fmt: skip
    evaluate = BatchEvaluator(potential, max_edges=max_edges, **keywords)
    return evaluate(structures, properties, progress=progress)


def _first(pair: tuple[int, Any]) -> int:
    return pair[0]


def _check(
    structures: Sequence[Atoms], prepared: PreparedPotential, properties: Sequence[str]
) -> None:
    """Check all structures before the first is evaluated; errors give the index."""
    for index, atoms in enumerate(structures):
        try:
            geometry(atoms)
            electrons(atoms)
            complete_cells(atoms.cell.array[None], atoms.pbc[None])
            fitting = prepared.fitting(boundaries_of(atoms))
            check_request(atoms, fitting.potential, properties, fitting.ase_properties)
        except (ValueError, PropertyNotImplementedError) as error:
            raise type(error)(f"structure {index} ({atoms.symbols}): {error}") from error
