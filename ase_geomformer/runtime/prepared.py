"""A potential made ready to evaluate, once, for everything that evaluates it."""

from __future__ import annotations

import copy
import os
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from typing import Any

import torch
from ase import Atoms
from torch import Tensor

from ase_geomformer.acceleration import (
    FEATURES,
    Artifact,
    CompiledAhead,
    CompiledPotential,
    artifact_key,
    can_compile_ahead,
    find_artifact,
    tabulate_once,
    threads_worth,
    worth_tabulating,
)
from ase_geomformer.graph.atom_graph import AtomGraph
from ase_geomformer.machine.allocator import keep_freed_memory
from ase_geomformer.machine.devices import resolve_device, resolve_dtype
from ase_geomformer.machine.lock import Lock
from ase_geomformer.neighbors.search import choose
from ase_geomformer.physics import Boundaries, LongRange, boundaries_of
from ase_geomformer.potential import Potential
from ase_geomformer.registry import load_potential
from ase_geomformer.runtime.dispersion import PROPERTIES as CORRECTED
from ase_geomformer.runtime.dispersion import correction_for
from ase_geomformer.runtime.features import atom_features, head_of
from ase_geomformer.runtime.memory_model import GraphSize, MemoryGuard
from ase_geomformer.runtime.results import CHARGE_PROPERTIES, ase_properties, needed, to_ase
from ase_geomformer.runtime.settings import CalculatorSettings

# Settings that nothing depends on which is prepared.
_SHAREABLE = ("neighbors", "skin", "keep_memory", "domain")
# Evaluates a graph: a potential, or its compiled form.
Function = Callable[[AtomGraph, Collection[str]], dict[str, Tensor]]


class PreparedPotential:
    """A frozen copy of a potential with all that its evaluation needs.

    Calculators, batches, committees and recipes share it: it holds nothing of the structures that
    it evaluates, and evaluates one graph at a time. Copies, also through pickle, are independent.

    Parameters
    ----------
    potential : str, path or Potential
        A registered name, the path of a potential's folder, or a potential, which is copied.
    settings : CalculatorSettings, optional

    Attributes
    ----------
    potential : Potential
        The copy, on its device and in its dtype, with its tables.
    settings : CalculatorSettings
        With the device, the dtype and the choice of tables that ``auto`` came to.
    device : torch.device
    dtype : torch.dtype
    far_cutoff : float
        That of the potential, Å.
    function : callable
        What evaluates a graph: the potential, or its compiled form.
    memory : MemoryGuard
    long_range : LongRange
        How charges and dispersion are summed. Where that depends on the boundaries of a structure,
        ``potential`` has its terms as they are on its card, and :meth:`fitting` gives those to
        evaluate a structure with.
    dispersion : DispersionCorrection or None
        What :meth:`results` adds to the potential.
    table_errors : TableErrors, optional
        What the tables changed on the probe structures; None without tables.

    Raises
    ------
    FileNotFoundError
        If there is no potential of this name.
    ValueError
        If the device or backend is not available, or the potential has no long-range terms or
        radial filters that a setting could act on.
    """

    def __init__(
        self,
        potential: str | os.PathLike[str] | Potential,
        settings: CalculatorSettings | None = None,
    ) -> None:
        given = self._given = settings or CalculatorSettings()
        device = resolve_device(given.device)
        # An unknown backend is an error now, not at the first step.
        choose(given.neighbors, device)
        own = as_potential(potential).copy(
            device=device,
            dtype=resolve_dtype(None if given.dtype == "auto" else given.dtype),
        )
        self.dispersion = correction_for(own, given.dispersion)
        self.long_range = LongRange(given.long_range, given.long_range_cutoff, given.ewald)
        self._own_terms = own.terms_settings
        self.potential = own.with_terms(self.long_range.fixed_terms(self._own_terms))
        # Asking the potential would walk through its modules at every step.
        self.device, self.dtype = device, self.potential.dtype
        self.far_cutoff = self.potential.far_cutoff
        tables = given.radial_tables
        if tables == "auto":
            tables = self.dtype == torch.float32 and device.type == "cpu"
            tables = tables and worth_tabulating(self.potential)
        self.table_errors = tabulate_once(self.potential) if tables else None
        self.function: Function = _function(self.potential, given)
        self.memory = MemoryGuard(self.potential)
        self._lock = Lock()
        # What evaluates structures of other boundaries, and what has been made for them so far.
        self._origin = self
        self._fitting: dict[Boundaries, PreparedPotential] = {}
        self.settings = given.updated(
            {"device": device, "dtype": self.dtype, "radial_tables": tables}
        )

    def __call__(self, graph: AtomGraph, names: Collection[str]) -> dict[str, Tensor]:
        """Evaluate a graph on the potential's device; only what is asked for is computed.

        Raises
        ------
        ValueError
            If it needs more memory than is free.
        """
        self.keep_memory(graph)
        with self._lock:
            self.memory.check(
                GraphSize.of(graph), compiled=isinstance(self._ready_function(), Artifact)
            )
            with threads_worth(graph):
                return self.function(graph, names)

    def keep_memory(self, graph: AtomGraph) -> None:
        """Have the process keep freed memory from now on, where the settings and the device say."""
        if self.settings.keep_memory and graph.edge_vectors.is_cpu:
            keep_freed_memory()

    def results(
        self, graph: AtomGraph, members: Sequence[Atoms], properties: Collection[str]
    ) -> list[dict[str, Any]]:
        """Results of a batch by ASE's names, with the correction for dispersion.

        See :meth:`results_and_features`.
        """
        return self._converted(self(graph, self._evaluated(properties)), members, properties)

    def results_and_features(
        self, graph: AtomGraph, members: Sequence[Atoms], properties: Collection[str]
    ) -> tuple[list[dict[str, Any]], Tensor]:
        """Results of a batch by ASE's names, and the features of its atoms.

        Parameters
        ----------
        graph : AtomGraph
        members : sequence of ase.Atoms
            The structures of the batch.
        properties : collection of str
            Some of :attr:`ase_properties`.

        Returns
        -------
        list of dict
            As :func:`~ase_geomformer.runtime.results.to_ase` gives them.
        Tensor (N, D)
            What enters the last, linear layer of the energy.

        Raises
        ------
        ValueError
            If the architecture has no such layer.
        """
        names = self._evaluated(properties)
        function = self._ready_function()
        if isinstance(function, Artifact) and FEATURES in function.properties:
            found = self(graph, {*names, FEATURES})
            features = found.pop(FEATURES)
        elif function is self.potential:
            with head_of(self.potential).observed() as seen:
                found = self(graph, names)
            # The last: to predict the memory, other graphs may be evaluated before.
            features = seen[-1].detach()
        else:
            found, features = self(graph, names), atom_features(self.potential, graph)
        return self._converted(found, members, properties), features

    @property
    def gives_features(self) -> bool:
        """Whether features come with the results, at no further evaluation."""
        function = self._ready_function()
        if isinstance(function, Artifact):
            return FEATURES in function.properties
        return function is self.potential

    def _evaluated(self, properties: Collection[str]) -> set[str]:
        """What the potential is asked for."""
        names = needed(properties)
        if self.is_compiled:
            # What is asked for next is then compiled already.
            names |= {"energy", "energies", "forces"}
        return names

    def _converted(
        self, results: dict[str, Tensor], members: Sequence[Atoms], properties: Collection[str]
    ) -> list[dict[str, Any]]:
        found = to_ase(results, members, properties)
        if self.dispersion is not None:
            for results, atoms in zip(found, members, strict=True):
                self.dispersion.add_to(results, atoms)
        return found

    @property
    def ase_properties(self) -> tuple[str, ...]:
        """Properties of ASE that :meth:`results` provides."""
        known = ase_properties(self.potential)
        if self.dispersion is None:
            return known
        return tuple(n for n in known if n in (*CORRECTED, *CHARGE_PROPERTIES))

    def fitting(self, boundaries: Boundaries) -> PreparedPotential:
        """What evaluates structures of such boundaries; it shares all but the long-range terms.

        Parameters
        ----------
        boundaries : tuple of bool
            See :func:`~ase_geomformer.physics.boundaries_of`.
        """
        origin = self._origin
        with origin._lock:
            if boundaries not in origin._fitting:
                origin._fitting[boundaries] = origin._made_for(boundaries)
            return origin._fitting[boundaries]

    def _made_for(self, boundaries: Boundaries) -> PreparedPotential:
        if self.long_range.is_fixed:
            return self
        terms = self.long_range.terms(self._own_terms, boundaries)
        potential = self.potential.with_terms(terms)
        for made in (self, *self._fitting.values()):
            if made.potential.terms_settings == potential.terms_settings:
                return made
        other = copy.copy(self)
        other.potential, other.far_cutoff = potential, potential.far_cutoff
        other.function = _function(other.potential, self.settings)
        other.memory = MemoryGuard(other.potential)
        return other

    def ready(self) -> str:
        """Compile now what is to be compiled, and tell how graphs are evaluated from now on.

        Returns
        -------
        str
            "plain", "compiled in this process", or "compiled" with the key of the code in the
            cache. Results of the same kind, for the same structure, are the same to the bit.
        """
        function = self._ready_function()
        if isinstance(function, Artifact):
            return f"compiled {function.key}"
        return "plain" if function is self.potential else "compiled in this process"

    def _ready_function(self) -> Function:
        function = self.function
        return function.ready() if isinstance(function, CompiledAhead) else function

    def evaluating(self, how: str, atoms: Atoms) -> PreparedPotential:
        """The same potential, evaluated as :meth:`ready` told in an earlier process.

        That is possible where ``compile`` is ``"auto"``, and the same code is there or can be
        compiled again; else, this one.

        Parameters
        ----------
        how : str
        atoms : ase.Atoms
            The structure that is evaluated.
        """
        own = self.fitting(boundaries_of(atoms))
        if self.settings.compile != "auto" or how == own.ready():
            return self
        if how == "plain":
            return self.with_settings(compile=False)
        potential = own.potential
        if can_compile_ahead(potential) and how == f"compiled {artifact_key(potential)}":
            return self.with_settings(compile=True)
        return self

    @property
    def is_compiled(self) -> bool:
        """Whether compiled code evaluates graphs, which always gives forces and stress as well."""
        return self.function is not self.potential

    def with_settings(self, **changes: Any) -> PreparedPotential:
        """The same potential with other settings; it shares what they do not change.

        Raises
        ------
        TypeError
            If there is no such setting.
        ValueError
            If a value is not possible.
        """
        if self is not self._origin:
            return self._origin.with_settings(**changes)
        given = self._given.updated(changes)
        if given is self._given:
            return self
        resolved = replace(
            given,
            device=str(resolve_device(given.device)),
            dtype=self.settings.dtype if given.dtype == "auto" else given.dtype,
            radial_tables=self.settings.radial_tables
            if given.radial_tables == self._given.radial_tables
            else given.radial_tables,
        )
        shareable = {name: getattr(resolved, name) for name in _SHAREABLE}
        if resolved != replace(self.settings, **shareable):
            return PreparedPotential(self.potential.with_terms(self._own_terms), given)
        if resolved == self.settings:
            return self
        choose(given.neighbors, self.device)
        twin = copy.copy(self)
        twin._given, twin.settings = given, resolved
        twin._origin, twin._fitting = twin, {}
        for boundaries, made in self._fitting.items():
            if made is self:
                twin._fitting[boundaries] = twin
                continue
            other = copy.copy(made)
            other._given, other.settings, other._origin = given, resolved, twin
            twin._fitting[boundaries] = other
        return twin

    @property
    def name(self) -> str:
        """The name on the potential's card, or its architecture's where it has none."""
        card = self.potential.card
        return card.name if card else str(self.potential.architecture.name)


def _function(potential: Potential, settings: CalculatorSettings) -> Function:
    """What evaluates a potential as the settings say."""
    if settings.compile is False:
        return potential
    if not can_compile_ahead(potential):
        return CompiledPotential(potential) if settings.compile is True else potential
    if settings.compile == "auto":
        return find_artifact(potential) or potential
    return CompiledAhead(potential)


# A potential, prepared or not.
Source = str | os.PathLike[str] | Potential | PreparedPotential


def prepare(
    source: Source | Any, settings: CalculatorSettings | None = None, **changes: Any
) -> PreparedPotential:
    """A prepared potential; one that is prepared already is returned as it is.

    Parameters
    ----------
    source : str, path, Potential, PreparedPotential or PotentialCalculator
        A calculator lends the one it has prepared. It is prepared anew only where settings differ
        that what is prepared depends on.
    settings : CalculatorSettings, optional
        The defaults, or those of the source, where left out.
    **changes
        Single settings, which win over ``settings``.
    """
    lent: Any = getattr(source, "prepared", source)
    if isinstance(lent, PreparedPotential):
        return lent.with_settings(**({**vars(settings), **changes} if settings else changes))
    return PreparedPotential(lent, (settings or CalculatorSettings()).updated(changes))


def as_potential(potential: str | os.PathLike[str] | Potential) -> Potential:
    """A potential as it is, or loaded by its name or path; TypeError if it is none of these."""
    if isinstance(potential, Potential):
        return potential
    if not isinstance(potential, str | os.PathLike):
        raise TypeError(
            "give a potential by its registered name, as a path or as a Potential, not as "
            f"{type(potential).__name__}"
        )
    return load_potential(potential)
