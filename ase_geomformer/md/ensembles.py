"""The ensembles by name, each built on an integrator of ASE.

All thermostats act on the degrees of freedom that can exchange energy: a drift or a rotation
that is zero and conserved is not counted
(:func:`~ase_geomformer.md.velocities.degrees_of_freedom`). ASE's own default counts three for every
atom, which makes a small molecule at rest too hot.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from ase import Atoms
from ase.md.md import MolecularDynamics

from ase_geomformer.md import barostats, constraints, thermostats
from ase_geomformer.md.constraints import Manifold
from ase_geomformer.md.settings import MDSettings


class Builder(Protocol):
    """Makes dynamics of atoms with calculator and velocities.

    Only ensembles of a fixed cell are given a manifold, that of the atoms' constraints.
    """

    def __call__(
        self,
        atoms: Atoms,
        settings: MDSettings,
        rng: np.random.Generator,
        degrees_of_freedom: int,
        manifold: Manifold | None = None,
        /,
    ) -> MolecularDynamics: ...


@dataclass(frozen=True)
class Ensemble:
    """How to run an ensemble.

    Attributes
    ----------
    build : Builder
    conserved : callable or None
        From the dynamics to the energy in eV that exact integration would keep constant; None
        where there is no such quantity.
    set_temperature : callable
        Gives dynamics another target temperature in K, for a number of degrees of freedom.
    conserves_momentum : bool
        Whether a drift that is zero at the start remains zero.
    has_barostat : bool
        Whether the cell changes, which takes three periodic directions and the stress.
    """

    build: Builder
    conserved: Callable[[Any], float] | None
    set_temperature: Callable[[Any, float, int], None]
    conserves_momentum: bool = True
    has_barostat: bool = False

    def check(self, atoms: Atoms, settings: MDSettings) -> None:
        """Raise ValueError if a structure with its calculator does not suit the ensemble."""
        constraints.check(atoms, settings.ensemble)
        if settings.log_stress:
            _check_stress(atoms)
        if not self.has_barostat:
            return
        name = settings.ensemble
        if "stress" not in atoms.calc.implemented_properties:
            raise ValueError(
                f"{name} changes the cell by the stress, which this calculator does not "
                "give; take an nvt ensemble, or a calculator with stress"
            )
        if not (atoms.pbc.all() and atoms.cell.rank == 3):
            raise ValueError(
                f"{name} changes the volume and needs a structure periodic in three directions; "
                f"this one has pbc = {atoms.pbc.tolist()}. Take an nvt ensemble."
            )
        if settings.barostat == "axes" and name == "npt-mtk":
            barostats.check_axes(atoms, settings)


def _check_stress(atoms: Atoms) -> None:
    """Refuse to log a pressure that there is not."""
    if "stress" not in atoms.calc.implemented_properties:
        raise ValueError("log_stress needs a calculator with stress, which this one does not give")
    if not (atoms.pbc.all() and atoms.cell.rank == 3):
        raise ValueError(
            "log_stress needs a structure periodic in three directions; this one has pbc = "
            f"{atoms.pbc.tolist()}"
        )
    if atoms.constraints:
        raise ValueError("log_stress leaves out the forces of constraints: remove them")


def _chain_energy(dynamics: Any) -> float:
    """Energy of atoms and thermostat; ASE's own sum refuses calculators without a free energy."""
    atoms = dynamics.atoms
    consistent = "free_energy" in atoms.calc.implemented_properties
    energy = atoms.get_potential_energy(force_consistent=consistent) + atoms.get_kinetic_energy()
    return float(energy + dynamics._thermostat.get_thermostat_energy())


def _mtk_energy(dynamics: Any) -> float:
    """Energy of atoms, thermostat, cell and pressure; without a free energy as well."""
    cell = dynamics._barostat.get_barostat_energy() + barostats.cell_kinetic_energy(dynamics)
    work = dynamics._pressure_au * dynamics._get_volume()
    return float(_chain_energy(dynamics) + cell + work)


ENSEMBLES: dict[str, Ensemble] = {
    "nve": Ensemble(
        thermostats.nve,
        lambda dynamics: dynamics.atoms.get_total_energy(),
        set_temperature=thermostats.keep_temperature,
    ),
    "nvt-langevin": Ensemble(
        thermostats.langevin,
        lambda dynamics: dynamics.atoms.get_total_energy() - dynamics.heat,
        set_temperature=thermostats.set_langevin,
        conserves_momentum=False,
    ),
    "nvt-bussi": Ensemble(
        thermostats.bussi,
        lambda dynamics: dynamics.atoms.get_total_energy() - dynamics.transferred_energy,
        set_temperature=thermostats.set_bussi,
    ),
    "nvt-nose-hoover": Ensemble(
        thermostats.nose_hoover,
        _chain_energy,
        set_temperature=thermostats.set_nose_hoover,
    ),
    "npt-mtk": Ensemble(
        barostats.mtk,
        _mtk_energy,
        set_temperature=barostats.set_mtk,
        has_barostat=True,
    ),
    "npt-berendsen": Ensemble(
        barostats.berendsen,
        conserved=None,
        set_temperature=barostats.set_berendsen,
        has_barostat=True,
    ),
}
