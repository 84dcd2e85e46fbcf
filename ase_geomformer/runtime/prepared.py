"""A potential made ready to evaluate, once, for everything that evaluates it."""

from __future__ import annotations

import copy
import os
from collections.abc import Callable, Collection
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from ase_geomformer.acceleration import (
    CompiledPotential,
    tabulate_once,
    threads_worth,
    worth_tabulating,
)
from ase_geomformer.graph.atom_graph import AtomGraph
from ase_geomformer.machine.allocator import keep_freed_memory
from ase_geomformer.machine.devices import resolve_device, resolve_dtype
from ase_geomformer.machine.lock import Lock
from ase_geomformer.neighbors.search import choose
from ase_geomformer.potential import Potential
from ase_geomformer.registry import load_potential
from ase_geomformer.runtime.memory_model import GraphSize, MemoryGuard
from ase_geomformer.runtime.settings import CalculatorSettings

# What evaluates a graph: a potential, or one that is compiled.
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
    function : callable
        What evaluates a graph: the potential, or its compiled form.
    memory : MemoryGuard
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
        self.potential = as_potential(potential).copy(
            device=device,
            dtype=resolve_dtype(None if given.dtype == "auto" else given.dtype),
            long_range_cutoff=given.long_range_cutoff,
            ewald=given.ewald,
        )
        # Asking the potential would walk through its modules at every step.
        self.device, self.dtype = device, self.potential.dtype
        tables = given.radial_tables
        if tables == "auto":
            tables = self.dtype == torch.float32 and device.type == "cpu"
            tables = tables and worth_tabulating(self.potential)
        self.table_errors = tabulate_once(self.potential) if tables else None
        self.function: Function = self.potential
        if given.compile:
            self.function = CompiledPotential(self.potential)
        self.memory = MemoryGuard(self.potential)
        self._lock = Lock()
        self.settings = given.updated(
            {"device": device, "dtype": self.dtype, "radial_tables": tables}
        )

    def __call__(self, graph: AtomGraph, names: Collection[str]) -> dict[str, Tensor]:
        """What the potential gives for a graph on its device.

        Raises
        ------
        ValueError
            If it would take more memory than is free.
        """
        if self.settings.keep_memory and graph.edge_vectors.is_cpu:
            keep_freed_memory()
        with self._lock:
            self.memory.check(GraphSize.of(graph))
            with threads_worth(graph):
                return self.function(graph, names)

    def with_settings(self, **changes: Any) -> PreparedPotential:
        """The same potential with other settings; it shares what they do not change.

        Raises
        ------
        TypeError
            If there is no such setting.
        ValueError
            If a value is not possible, or an Ewald sum is to be undone.
        """
        given = self._given.updated(changes)
        if given is self._given:
            return self
        if self.settings.ewald and not given.ewald:
            raise ValueError(
                "ewald=False: the prepared potential has an Ewald sum in place of its cutoff; "
                "prepare it from its name again"
            )
        resolved = replace(
            given,
            device=str(resolve_device(given.device)),
            dtype=self.settings.dtype if given.dtype == "auto" else given.dtype,
            radial_tables=self.settings.radial_tables
            if given.radial_tables == self._given.radial_tables
            else given.radial_tables,
        )
        shareable = {name: getattr(resolved, name) for name in ("neighbors", "skin", "keep_memory")}
        if resolved != replace(self.settings, **shareable):
            return PreparedPotential(self.potential, given)
        if resolved == self.settings:
            return self
        choose(given.neighbors, self.device)
        twin = copy.copy(self)
        twin._given, twin.settings = given, resolved
        return twin

    @property
    def name(self) -> str:
        """The name on the potential's card, or its architecture's where it has none."""
        card = self.potential.card
        return card.name if card else str(self.potential.architecture.name)


# What can be prepared, or is prepared already.
Source = str | os.PathLike[str] | Potential | PreparedPotential


def prepare(
    source: Source | Any, settings: CalculatorSettings | None = None, **changes: Any
) -> PreparedPotential:
    """What evaluates a potential; one that is prepared is taken as it is.

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
