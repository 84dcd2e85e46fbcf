"""A ring polymer that i-PI moves in this process, step by step."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from ase import Atoms, units
from ase.calculators.singlepoint import SinglePointCalculator

from ase_geomformer.engines.ipi import inputs
from ase_geomformer.engines.ipi.given import GIVEN, Given
from ase_geomformer.engines.ipi.settings import PathIntegralSettings
from ase_geomformer.evaluate import Evaluator

# eV, Å and the like in one atomic unit.
_ENERGY, _LENGTH = 1.0 / inputs.ENERGY, 1.0 / inputs.LENGTH
_MOMENTUM = np.sqrt(units._amu / units._me / units.Hartree)  # from sqrt(eV amu)
_PRESSURE_GPA = units.Hartree / units.Bohr**3 / units.GPa
# Relative change of the temperature in finite differences for the heat capacity.
_SCALING = 1e-3


@dataclass(frozen=True, eq=False)
class State:
    """What a ring polymer continues from, to the bit, in i-PI's units.

    Attributes
    ----------
    positions, momenta : array, shape (beads, 3N)
    key : array of uint32, shape (624,)
        Of the random generator.
    position : int
        Of the random generator, in its key.
    conserved_energy_eV : float
    """

    positions: np.ndarray
    momenta: np.ndarray
    key: np.ndarray
    position: int
    conserved_energy_eV: float


class RingPolymer:
    """Replicas of a structure in i-PI, evaluated together.

    Parameters
    ----------
    atoms : ase.Atoms
        Left as they are.
    evaluate : Evaluator
    settings : PathIntegralSettings

    Attributes
    ----------
    step : int
        Steps made.
    """

    def __init__(self, atoms: Atoms, evaluate: Evaluator, settings: PathIntegralSettings) -> None:
        self.settings, self.start = settings, atoms
        self._given = Given(evaluate, inputs.turned(atoms))
        self.step = 0
        # What makes the conserved energy continuous from one simulation of i-PI to the next, eV.
        self._offset = 0.0
        self.elements = list(dict.fromkeys(atoms.symbols))
        self._begin()

    def _begin(self) -> None:
        """Have i-PI make the simulation of the present step's ensemble."""
        from ipi.engine.simulation import Simulation

        settings = self.settings
        field = inputs.forcefield(None, None, settings.beads, threaded=False)
        thermostat = settings.method == "pimd" or self.step < settings.equilibration_steps
        text = inputs.simulation(
            self._given.atoms, settings, field, steps=settings.steps + 1, thermostat=thermostat
        )
        token = GIVEN.set(self._given)
        try:
            # Nothing is written, and no thread or signal handler is started.
            self._simulation = Simulation.load_from_xml(text, read_only=True)
        finally:
            GIVEN.reset(token)
        self._system = self._simulation.syslist[0]

    def advance(self) -> None:
        """Make a step."""
        settings = self.settings
        if settings.method == "rpmd" and self.step == settings.equilibration_steps:
            self.restore(self.state(), self.step)
        self._simulation.step = self.step
        self._simulation.run_step(self.step)
        self.step += 1

    def state(self) -> State:
        """What it could continue from."""
        random = self._simulation.prng.state[0]["state"]
        beads = self._system.beads
        return State(
            np.array(beads.q),
            np.array(beads.p),
            np.array(random["key"]),
            int(random["pos"]),
            self.conserved_energy(),
        )

    def restore(self, state: State, step: int) -> None:
        """Continue from a state of this number of steps, in a new simulation of i-PI.

        Nothing is left of what i-PI derived before: a run that does this at its checkpoints is, to
        the bit, one that was resumed from them.
        """
        self.step, self._offset = step, 0.0
        self._begin()
        self._system.beads.q[:] = state.positions
        self._system.beads.p[:] = state.momenta
        random = {"key": state.key, "pos": state.position}
        self._simulation.prng.state = [{"bit_generator": "MT19937", "state": random}]
        self._offset = state.conserved_energy_eV - self.conserved_energy()

    def conserved_energy(self) -> float:
        """Energy of the ring polymer and its thermostat, per bead, eV."""
        return float(self._value("conserved")) * _ENERGY + self._offset

    @property
    def time_fs(self) -> float:
        return self.step * self.settings.timestep_fs

    @property
    def temperature_K(self) -> float:
        """Of the momenta of all beads."""
        return float(self._value("temperature")) * _ENERGY / units.kB

    def row(self) -> dict[str, float]:
        """A line of the log.

        The kinetic energy is the centroid-virial estimate (Herman, Bruskin and Berne, J. Chem.
        Phys. 76, 5150 (1982)), and its share of each element; spreads are root mean squares of the
        distances of beads from their centroids.
        """
        potential = self._value("potential") * _ENERGY
        kinetic = self._value("kinetic_cv") * _ENERGY
        row = {
            "step": self.step,
            "time_fs": self.time_fs,
            "potential_energy_eV": potential,
            "kinetic_energy_eV": kinetic,
            "total_energy_eV": potential + kinetic,
            "conserved_energy_eV": self.conserved_energy(),
            "temperature_K": self.temperature_K,
        }
        if self.start.pbc.all():
            row["pressure_GPa"] = self._value("pressure_cv") * _PRESSURE_GPA
        beads = self.positions()
        away = ((beads - beads.mean(axis=0)) ** 2).sum(axis=2).mean(axis=0)
        for symbol in self.elements:
            chosen = self.start.symbols == symbol
            row[f"kinetic_energy_{symbol}_eV"] = self._value(f"kinetic_cv({symbol})") * _ENERGY
            row[f"spread_{symbol}_A"] = float(np.sqrt(away[chosen].mean()))
        if self.settings.heat_capacity:
            energy, slope = self._value(f"scaledcoords(fd_delta={_SCALING})")
            row["energy_estimate_eV"] = energy * _ENERGY
            row["energy_slope_eV2"] = slope * _ENERGY**2
        return {name: value if name == "step" else float(value) for name, value in row.items()}

    def positions(self) -> np.ndarray:
        """Of all beads (beads, N, 3), in the orientation of the structure, Å."""
        count = self.settings.beads
        place = np.array(self._system.beads.q).reshape(count, -1, 3) * _LENGTH
        return self._back(place)

    def centroids(self) -> Atoms:
        """The centroids with their velocities, the mean energy and the mean forces of the beads."""
        atoms = self._frame(self.positions().mean(axis=0))
        beads = self._system.beads
        momenta = np.array(beads.p).mean(axis=0).reshape(-1, 3) / _MOMENTUM
        atoms.set_momenta(self._back(momenta))
        forces = np.array(self._system.forces.f).mean(axis=0).reshape(-1, 3)
        atoms.calc = SinglePointCalculator(
            atoms,
            energy=self._value("potential") * _ENERGY,
            forces=self._back(forces * (_ENERGY / _LENGTH)),
        )
        return atoms

    def replicas(self) -> list[Atoms]:
        """All beads as structures with their energies and forces."""
        energies = np.array(self._system.forces.pots) * _ENERGY
        forces = np.array(self._system.forces.f).reshape(len(energies), -1, 3)
        forces = self._back(forces * (_ENERGY / _LENGTH))
        frames = []
        for bead, place in enumerate(self.positions()):
            atoms = self._frame(place)
            atoms.info["bead"] = bead
            atoms.calc = SinglePointCalculator(
                atoms, energy=float(energies[bead]), forces=forces[bead]
            )
            frames.append(atoms)
        return frames

    def _frame(self, place: np.ndarray) -> Atoms:
        atoms = self.start.copy()
        atoms.set_positions(place, apply_constraint=False)
        return atoms

    def _back(self, vectors: np.ndarray) -> np.ndarray:
        """Vectors in the orientation of the structure."""
        if not self.start.pbc.any():
            return vectors
        whole = self.start.cell.complete().array
        turned: np.ndarray = vectors @ np.linalg.solve(self._given.atoms.cell.array, whole)
        return turned

    def _value(self, name: str) -> Any:
        """A property of i-PI, in atomic units."""
        return self._system.properties[name][0]


def facts_of(state: State) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """What of a state is plain, and its arrays."""
    found = asdict(state)
    arrays = {name: found.pop(name) for name in ("positions", "momenta", "key")}
    return found, arrays
