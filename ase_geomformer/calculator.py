"""PotentialCalculator: the ASE face of a potential."""

from __future__ import annotations

from collections.abc import Callable, Sequence, Set
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict
from typing import Any, NamedTuple

import numpy as np
import torch
from ase import Atoms
from ase.calculators.calculator import CalculatorSetupError, all_changes

from ase_geomformer.acceleration import TableErrors
from ase_geomformer.graph.atom_graph import AtomGraph
from ase_geomformer.graph.kept import KeptGraph
from ase_geomformer.graph.structure import ELECTRON_DEFAULTS, changes, electrons, same_form
from ase_geomformer.neighbors import VerletList
from ase_geomformer.physics import boundaries_of
from ase_geomformer.potential import GRADIENT_PROPERTIES, Potential
from ase_geomformer.runtime.descriptors import descriptors
from ase_geomformer.runtime.domain import DomainCheck, confidence_of
from ase_geomformer.runtime.features import atom_features
from ase_geomformer.runtime.locked import LockedCalculator
from ase_geomformer.runtime.prepared import PreparedPotential, Source, prepare
from ase_geomformer.runtime.results import (
    ASE_PROPERTIES,
    CHARGE_PROPERTIES,
    check_request,
    has_volume,
)
from ase_geomformer.runtime.settings import CalculatorSettings, takes_settings
from ase_geomformer.runtime.uncertainty import PROPERTIES as UNCERTAINTIES
from ase_geomformer.runtime.uncertainty import uncertainties

_UNCHANGED = nullcontext()
# Changes after which a structure is answered as before, and those after which it is a new one.
_ONLY_MOVED = frozenset({"positions"})
_NEW_KIND = frozenset({"numbers", "pbc"})


class _Request(NamedTuple):
    """How properties of a structure are computed.

    Attributes
    ----------
    prepared : PreparedPotential
        What evaluates structures of its boundaries.
    wanted : set of str
        All properties of the potential that it is answered with.
    special : tuple of str
        Uncertainties asked for.
    """

    prepared: PreparedPotential
    wanted: Set[str]
    special: tuple[str, ...]


def _gradients_allowed() -> AbstractContextManager[object]:
    """Outside of a caller's inference mode, which would forbid the gradient."""
    return torch.inference_mode(False) if torch.is_inference_mode_enabled() else _UNCHANGED


@takes_settings
class PotentialCalculator(LockedCalculator):
    """ASE calculator of a potential.

    Energy alone costs no gradient. Any request that needs the gradient gives energy, energies,
    forces and, where the cell has a volume, stress at once, so that molecular dynamics and cell
    relaxation evaluate each geometry once. ``stresses`` is computed only when asked for. A
    potential that predicts charges gives ``charges`` and ``dipole``, the sum of charge times
    position in e Å, as well. A potential that predicts forces directly
    (:attr:`conservative` is False) has no stress, and dynamics with it does not conserve energy.

    The total charge (e) and the spin multiplicity 2S+1 are read from ``atoms.info["charge"]``
    (default 0) and ``atoms.info["spin"]`` (default 1); nothing else in ``info`` matters.

    Several threads may share a calculator: it answers one request at a time. Threads that should
    compute at the same time need calculators of their own.

    Parameters
    ----------
    potential : str, path, Potential or PreparedPotential
        A registered name, the path of a potential's folder, or a potential, which is copied. One
        that is prepared already is shared.
    settings : CalculatorSettings, optional
        The keywords below as one object; single keywords win over it.

    Attributes
    ----------
    prepared : PreparedPotential
        The potential with all that its evaluation needs, which can be lent to other calculators.

    Raises
    ------
    FileNotFoundError
        If there is no potential of this name.
    TypeError, ValueError
        If a keyword is unknown, or its value is not possible, such as a device that is not
        available, or radial tables of a potential that cannot have them.
    """

    name = "geomformer"
    # ASE declares it as a variable of the instance, which only a plain value can override.
    implemented_properties = list(ASE_PROPERTIES)  # noqa: RUF012

    def __init__(
        self, potential: Source, settings: CalculatorSettings | None = None, **keywords: Any
    ) -> None:
        super().__init__()
        self.prepared = prepare(potential, settings, **keywords)
        chosen = self.prepared.settings
        # A crystal's sum over the reciprocal lattice gives least.
        crystal = self.prepared.fitting((True, True, True))
        self.implemented_properties = list(crystal.ase_properties)
        if confidence_of(self.potential) is not None:
            self.implemented_properties += UNCERTAINTIES
        self._domain = DomainCheck(chosen.domain)
        place = self.prepared.device, self.prepared.dtype
        self.graphs = KeptGraph(self.potential.cutoff, chosen.skin, chosen.neighbors, *place)
        # The requests that have been checked; they change only when more than positions does.
        self._granted: dict[tuple[str, ...], _Request] = {}
        # The structure of the last results, which is copied anew only where cell or atoms change.
        self._kept: Atoms | None = None
        self.parameters.update(potential=self.prepared.name, **asdict(chosen))

    @property
    def potential(self) -> Potential:
        """The potential, with its long-range terms as they are on its card or as settings say."""
        return self.prepared.potential

    @property
    def neighbors(self) -> VerletList:
        """The neighbour list, with the numbers of its updates and builds."""
        return self.graphs.edges

    @property
    def table_errors(self) -> TableErrors | None:
        """What radial tables changed on the probe structures; None without tables."""
        return self.prepared.table_errors

    @property
    def conservative(self) -> bool:
        """Whether forces are the gradient of the energy."""
        return self.potential.conservative

    def evaluation_of(self, atoms: Atoms) -> str:
        """How a structure is evaluated, see :meth:`PreparedPotential.ready`."""
        return self.prepared.fitting(boundaries_of(atoms)).ready()

    def adapted(self, change: Callable[[PreparedPotential], PreparedPotential]) -> Any:
        """A calculator of the potential that a function gives for its own; itself if the same."""
        prepared = change(self.prepared)
        return self if prepared is self.prepared else type(self)(prepared)

    def set(self, **kwargs: Any) -> dict[str, Any]:
        """Refuse to change parameters, which are fixed when the calculator is made."""
        if kwargs:
            raise CalculatorSetupError(
                f"{', '.join(kwargs)} cannot be changed; make a new PotentialCalculator"
            )
        return {}

    def check_state(self, atoms: Atoms, tol: float = 0.0) -> list[str]:
        """What has changed since the last calculation, to the bit, whatever ``tol`` is."""
        return list(all_changes) if self.atoms is None else changes(self.atoms, atoms)

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
        with self._lock, _gradients_allowed():
            self._calculate(atoms, tuple(properties), system_changes)

    def _calculate(
        self, atoms: Atoms, properties: tuple[str, ...], system_changes: Sequence[str]
    ) -> None:
        if system_changes:
            self.reset()
        if not _ONLY_MOVED.issuperset(system_changes):
            # Should the evaluation fail, nothing is known of either structure.
            self.atoms = self._kept = None
            self._granted = {}
            self.graphs.forget()
        request = self._granted.get(properties)
        if request is None:
            request = self._granted[properties] = self._request(atoms, properties)
        prepared = request.prepared
        graph = self.graphs.of(atoms, prepared.far_cutoff)
        is_new = not _NEW_KIND.isdisjoint(system_changes)
        checked = self._domain.due(prepared.potential, new=is_new)
        if request.special or checked:
            converted = self._with_features(atoms, graph, request, checked)
        else:
            (converted,) = prepared.results(graph, [atoms], request.wanted)
        self.results.update(converted)
        self.atoms = self._remembered(atoms)

    def _remembered(self, atoms: Atoms) -> Atoms:
        """A copy of the structure; where the last one differs in values only, written into that."""
        kept = self._kept
        if kept is None or atoms.constraints or kept.constraints or not same_form(kept, atoms):
            kept = self._kept = atoms.copy()
        for name, values in atoms.arrays.items():
            kept.arrays[name][...] = values
        kept.info = dict(atoms.info)
        # Numbers, as an array in info could be changed in place.
        given = ELECTRON_DEFAULTS.keys() & atoms.info.keys()
        kept.info.update({key: electrons(atoms)[key] for key in given})
        return kept

    def _with_features(
        self,
        atoms: Atoms,
        graph: AtomGraph,
        request: _Request,
        checked: bool,
    ) -> dict[str, Any]:
        """Results, and what follows from the features of the same evaluation."""
        prepared, potential, wanted = request.prepared, request.prepared.potential, request.wanted
        converted: dict[str, Any] = {}
        if wanted <= self.results.keys():
            features = atom_features(potential, graph)
        else:
            (converted,), features = prepared.results_and_features(graph, [atoms], wanted)
        if checked:
            self._domain.check(potential, graph, [atoms], features)
        return {**converted, **uncertainties(potential, graph, features, request.special)}

    def _request(self, atoms: Atoms, properties: tuple[str, ...]) -> _Request:
        """How a request is answered; refused where the potential cannot."""
        prepared = self.prepared.fitting(boundaries_of(atoms))
        special = tuple(name for name in properties if name in UNCERTAINTIES)
        asked = tuple(name for name in properties if name not in UNCERTAINTIES)
        check_request(atoms, prepared.potential, asked, prepared.ase_properties)
        wanted = {*asked, "energy", "free_energy"}
        wanted |= {"energies"} & set(self.implemented_properties)
        wanted |= set(CHARGE_PROPERTIES) & set(self.implemented_properties)
        # With compilation, energy alone would have to be compiled, too.
        if prepared.is_compiled or wanted & set(GRADIENT_PROPERTIES):
            wanted |= {"forces"} | ({"stress"} & set(self.implemented_properties))
            wanted -= set() if has_volume(atoms) else {"stress"}
        return _Request(prepared, wanted, special)

    def get_descriptors(self, atoms: Atoms | None = None, *, mean: bool = False) -> np.ndarray:
        """Features of atoms that enter the last, linear layer of the energy.

        They are invariant to translation, rotation, reflection and permutation, smooth, and the
        same in every process on a machine. Energies of atoms are a linear function of them.

        Parameters
        ----------
        atoms : ase.Atoms, optional
            Those of the last calculation when left out.
        mean : bool
            Give the mean over the atoms, which describes the structure.

        Returns
        -------
        ndarray, shape (N, D) or (D,)
            In the dtype of the calculator; D is the width of that layer, 64 or 128 in the shipped
            potentials.
        """
        atoms = self.atoms if atoms is None else atoms
        if atoms is None:
            raise CalculatorSetupError("no structure to describe: pass atoms")
        with self._lock:
            (found,) = descriptors(self.prepared, [atoms])
        return found.mean(axis=0) if mean else found

    def __repr__(self) -> str:
        settings = ", ".join(f"{key}={value!r}" for key, value in self.parameters.items())
        return f"{type(self).__name__}({settings})"
