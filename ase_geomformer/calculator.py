"""PotentialCalculator: the ASE face of a potential."""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from typing import Any, Literal

import numpy as np
import torch
from ase import Atoms
from ase.calculators.calculator import Calculator, CalculatorSetupError, all_changes
from torch import Tensor

from ase_geomformer.acceleration import (
    CompiledPotential,
    tabulate_once,
    threads_worth,
    worth_tabulating,
)
from ase_geomformer.graph.atom_graph import AtomGraph
from ase_geomformer.graph.structure import ELECTRON_DEFAULTS, electrons, geometry
from ase_geomformer.machine.allocator import keep_freed_memory
from ase_geomformer.machine.devices import resolve_device, resolve_dtype
from ase_geomformer.neighbors import VerletList
from ase_geomformer.neighbors.search import choose
from ase_geomformer.physics import LongRangeCutoff
from ase_geomformer.potential import GRADIENT_PROPERTIES, Potential
from ase_geomformer.registry import load_potential
from ase_geomformer.runtime.memory_model import GraphSize, MemoryGuard
from ase_geomformer.runtime.results import (
    ASE_PROPERTIES,
    CHARGE_PROPERTIES,
    ase_properties,
    check_request,
    has_volume,
    needed,
    to_ase,
)


class PotentialCalculator(Calculator):
    """ASE calculator of a potential.

    Energy alone costs no gradient. Any request that needs the gradient gives energy, energies,
    forces and, where the cell has a volume, stress at once, so that molecular dynamics and cell
    relaxation evaluate each geometry once. ``stresses`` is computed only when asked for. A
    potential that predicts charges gives ``charges`` and ``dipole``, the sum of charge times
    position in e Å, as well. A potential that predicts forces directly
    (:attr:`conservative` is False) has no stress, and dynamics with it does not conserve energy.

    The total charge (e) and the spin multiplicity 2S+1 are read from ``atoms.info["charge"]``
    (default 0) and ``atoms.info["spin"]`` (default 1); nothing else in ``info`` matters.

    Parameters
    ----------
    potential : str, path or Potential
        A registered name, the path of a potential's folder, or a potential, which is copied.
    device : str or torch.device
        ``"auto"`` is CUDA where there is one, else the CPU.
    dtype : str or torch.dtype, optional
        ``"float32"`` or ``"float64"``; the potential's own type when left out. Energies are
        summed in float64 in any case.
    neighbors : str
        Backend of the neighbour list, see :func:`ase_geomformer.neighbors.neighbor_list`.
    skin : float
        Extra radius in Å of the stored neighbour list, which is then searched anew only after
        atoms have moved about half of it. Results do not depend on it.
    long_range_cutoff : float, optional
        Cutoff in Å of electrostatics and dispersion, for a potential that has them; None for no
        cutoff, which only structures without periodic boundaries can have. ``"auto"`` is the
        cutoff the potential comes with.
    ewald : bool
        Sum the charges of crystals over all images, with Ewald's method, instead of within a
        cutoff; for a potential with electrostatics, and structures that are periodic in three
        directions. Such potentials have no ``stresses``.
    compile : bool
        Compile at the first step, for a minute or two, to be faster from then on; forces repeat
        to rounding, not to the bit. See :class:`~ase_geomformer.acceleration.CompiledPotential`.
    radial_tables : bool or "auto"
        Replace filters that depend on the distance alone by tables, which change energies by at
        most 1e-6 eV/atom and forces by 1e-5 eV/Å on probe structures; see
        :func:`~ase_geomformer.acceleration.tabulate`. ``"auto"`` replaces networks for float32
        on a CPU, where rounding errors are as large and the gain is measured.
    keep_memory : bool
        From the first step on a CPU, let the process keep up to 2 GB of freed memory, which
        saves up to half the time of hundreds of atoms; see
        :func:`~ase_geomformer.machine.allocator.keep_freed_memory`.

    Attributes
    ----------
    table_errors : TableErrors, optional
        What the tables changed on the probe structures; None without tables.

    Raises
    ------
    FileNotFoundError
        If there is no potential of this name.
    ValueError
        If the device, type, backend, skin or long-range cutoff is not possible, or the potential
        cannot have radial tables.
    """

    name = "geomformer"
    # ASE declares it as a variable of the instance, which only a plain value can override.
    implemented_properties = list(ASE_PROPERTIES)  # noqa: RUF012

    def __init__(
        self,
        potential: str | os.PathLike[str] | Potential,
        *,
        device: torch.device | str = "auto",
        dtype: torch.dtype | str | None = None,
        neighbors: str = "auto",
        skin: float = 0.5,
        long_range_cutoff: LongRangeCutoff = "auto",
        ewald: bool = False,
        compile: bool = False,
        radial_tables: bool | Literal["auto"] = "auto",
        keep_memory: bool = True,
    ) -> None:
        super().__init__()
        place, kind = resolve_device(device), resolve_dtype(dtype)
        choose(neighbors, place)  # An unknown backend is an error now, not at the first step.
        self.potential = as_potential(potential).copy(
            device=place, dtype=kind, long_range_cutoff=long_range_cutoff, ewald=ewald
        )
        if radial_tables == "auto":
            radial_tables = self.potential.dtype == torch.float32 and place.type == "cpu"
            radial_tables = radial_tables and worth_tabulating(self.potential)
        self.table_errors = tabulate_once(self.potential) if radial_tables else None
        self.evaluator = CompiledPotential(self.potential) if compile else self.potential
        self.implemented_properties = list(ase_properties(self.potential))
        self.memory = MemoryGuard(self.potential)
        self.neighbors = VerletList(self.potential.cutoff, skin, neighbors)
        far = self.potential.far_cutoff
        self.far_pairs = VerletList(far, skin, neighbors, half=True) if far else None
        # Asking the potential would walk through its modules at every step.
        self._device, self._dtype = place, self.potential.dtype
        # What differs between steps only when more than positions changes: the requests that have
        # been checked, with all that they are answered with, and the rest of the graph.
        self._granted: dict[tuple[str, ...], Collection[str]] = {}
        self._last_graph: AtomGraph | None = None
        self.parameters.update(
            potential=potential_name(self.potential),
            device=str(place),
            dtype=str(self.potential.dtype).removeprefix("torch."),
            neighbors=neighbors,
            skin=skin,
            long_range_cutoff=long_range_cutoff,
            ewald=ewald,
            compile=compile,
            radial_tables=radial_tables,
            keep_memory=keep_memory,
        )

    @property
    def conservative(self) -> bool:
        """Whether forces are the gradient of the energy."""
        return self.potential.conservative

    def set(self, **kwargs: Any) -> dict[str, Any]:
        """Refuse to change parameters, which are fixed when the calculator is made."""
        if kwargs:
            raise CalculatorSetupError(
                f"{', '.join(kwargs)} cannot be changed; make a new PotentialCalculator"
            )
        return {}

    def check_state(self, atoms: Atoms, tol: float = 0.0) -> list[str]:
        """What has changed since the last calculation, of all that results depend on.

        Total charge and spin are ``info``; initial charges and magnetic moments do not matter.
        Compared to the bit, whatever ``tol`` is, which is several times faster than ASE's way.
        """
        before = self.atoms
        if before is None:
            return list(all_changes)
        compared = {
            "positions": (before.positions, atoms.positions),
            "numbers": (before.numbers, atoms.numbers),
            "cell": (before.cell.array, atoms.cell.array),
            "pbc": (before.pbc, atoms.pbc),
        }
        changes = [name for name, pair in compared.items() if not np.array_equal(*pair)]
        if electrons(before) != electrons(atoms):
            changes.append("info")
        return changes

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: Sequence[str] = ("energy",),
        system_changes: Sequence[str] = tuple(all_changes),
    ) -> None:
        """Evaluate the potential and store the results.

        Raises
        ------
        PropertyNotImplementedError
            If stress is asked of a structure without a volume, or a property is unknown.
        ValueError
            If the structure is empty, has elements unknown to the potential, NaN or infinite
            positions, or a charge or spin that is not a number, or evaluating it would take more
            memory than is free.
        """
        atoms = self.atoms if atoms is None else atoms
        if atoms is None:
            raise CalculatorSetupError("no structure to calculate: pass atoms")
        if system_changes:
            self.reset()
        if set(system_changes) - {"positions"}:
            # Should the evaluation fail, nothing is known of either structure.
            self.atoms, self._granted, self._last_graph = None, {}, None
        wanted = self._wanted(atoms, tuple(properties))
        # A caller's inference mode would forbid the gradient.
        with torch.inference_mode(False):
            results = self.evaluate(self._graph(atoms), needed(wanted))
            (converted,) = to_ase(results, [atoms], wanted)
        self.results.update(converted)
        self.atoms = atoms.copy()
        # The copy shares the values in info, and an array there could be changed in place.
        given = ELECTRON_DEFAULTS.keys() & atoms.info.keys()
        self.atoms.info.update({key: electrons(atoms)[key] for key in given})

    def evaluate(self, graph: AtomGraph, names: Collection[str]) -> dict[str, Tensor]:
        """What the potential gives for a graph on its device, if there is memory for it."""
        self.memory.check(GraphSize.of(graph))
        if self.parameters["keep_memory"] and graph.edge_vectors.is_cpu:
            keep_freed_memory()
        with threads_worth(graph):
            return self.evaluator(graph, names)

    def _wanted(self, atoms: Atoms, properties: tuple[str, ...]) -> Collection[str]:
        """All that a request is answered with; refused where the potential cannot give it."""
        if properties in self._granted:
            return self._granted[properties]
        check_request(atoms, self.potential, properties)
        wanted = {*properties, "energy", "free_energy", "energies"}
        wanted |= set(CHARGE_PROPERTIES) & set(self.implemented_properties)
        # With compilation, energy alone would have to be compiled, too.
        if self.parameters["compile"] or wanted & set(GRADIENT_PROPERTIES):
            wanted |= {"forces"} | ({"stress"} & set(self.implemented_properties))
            wanted -= set() if has_volume(atoms) else {"stress"}
        self._granted[properties] = wanted
        return wanted

    def _graph(self, atoms: Atoms) -> AtomGraph:
        host = geometry(atoms)
        here = host.to(self._device)
        edges = self.neighbors.update(*here, host)
        far = None if self.far_pairs is None else self.far_pairs.update(*here, host)
        self._last_graph = AtomGraph.from_neighbors(
            atoms,
            edges,
            here.positions,
            here.cell,
            far=far,
            dtype=self._dtype,
            same=self._last_graph,
        )
        return self._last_graph

    def __repr__(self) -> str:
        settings = ", ".join(f"{key}={value!r}" for key, value in self.parameters.items())
        return f"{type(self).__name__}({settings})"


def as_potential(potential: str | os.PathLike[str] | Potential) -> Potential:
    """A potential as it is, or loaded by its name or path; TypeError if it is none of these."""
    if isinstance(potential, Potential):
        return potential
    if not isinstance(potential, str | os.PathLike):
        raise TypeError(
            "a potential is given as a registered name, a path or a Potential, not as "
            f"{type(potential).__name__}"
        )
    return load_potential(potential)


def potential_name(potential: Potential) -> str:
    """The name on a potential's card, or its architecture's where it has none."""
    return potential.card.name if potential.card else potential.architecture.name
