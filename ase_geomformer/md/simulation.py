"""A running simulation: its complete state."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from ase import Atoms, units
from ase.md.md import MolecularDynamics

from ase_geomformer.md import constraints, velocities
from ase_geomformer.md.constraints import Manifold
from ase_geomformer.md.ensembles import ENSEMBLES, Ensemble
from ase_geomformer.md.guard_memory import GuardMemory
from ase_geomformer.md.integrators import INTEGRATORS
from ase_geomformer.md.settings import MDSettings


@dataclass(eq=False)
class Simulation:
    """Dynamics with what ASE does not keep about it.

    Attributes
    ----------
    settings : MDSettings
    dynamics : ase.md.md.MolecularDynamics
    rng : numpy.random.Generator
        Source of all randomness.
    degrees_of_freedom : int
        Number of motions that the temperature refers to.
    initial_velocities : str
        Whether they were "drawn" or came with the "structure".
    manifold : Manifold or None
        The motions that the constraints leave; None without constraints.
    guard_memory : GuardMemory
    conserved_offset : float
        Energy in eV that changes of the target temperature put into the thermostat's variables;
        it is not drift.
    wall_time : float
        Seconds that earlier processes worked on the run.
    exchanged_temperature_K : float or None
        Target temperature from the last exchange with another replica, if there was one.
    exchanges : bool
        Whether there are such exchanges.
    """

    settings: MDSettings
    dynamics: MolecularDynamics
    rng: np.random.Generator
    degrees_of_freedom: int
    initial_velocities: str
    manifold: Manifold | None = None
    guard_memory: GuardMemory = field(default_factory=GuardMemory)
    conserved_offset: float = 0.0
    wall_time: float = 0.0
    exchanged_temperature_K: float | None = None
    exchanges: bool = False

    @property
    def atoms(self) -> Atoms:
        return self.dynamics.atoms

    @property
    def ensemble(self) -> Ensemble:
        return ENSEMBLES[self.settings.ensemble]

    @property
    def step(self) -> int:
        return int(self.dynamics.nsteps)

    @property
    def time_fs(self) -> float:
        return float(self.dynamics.get_time() / units.fs)

    @property
    def target_temperature_K(self) -> float:
        """Present temperature of the thermostat."""
        if self.exchanged_temperature_K is not None:
            return self.exchanged_temperature_K
        return self.settings.target_temperature_K(self.step)

    def temperature(self) -> float:
        """Present temperature in K."""
        return velocities.temperature(self.atoms, self.degrees_of_freedom)

    def forces(self) -> np.ndarray:
        """Present forces (N, 3) in eV/Å, those of the constraints included."""
        forces = constraints.driving_forces(self.atoms)
        if self.manifold is not None:
            forces = self.manifold.project(self.atoms.positions, forces)
        return forces

    def pressure_GPa(self) -> float:
        """Present pressure, the motion of the atoms included."""
        stress = self.atoms.get_stress(voigt=False, include_ideal_gas=True)
        return float(-np.trace(stress) / 3.0 / units.GPa)

    def pressure_tensor_GPa(self) -> np.ndarray:
        """Present pressure as xx, yy, zz, yz, xz, xy (6,), the motion of the atoms included."""
        stress = self.atoms.get_stress(voigt=True, include_ideal_gas=True)
        return np.asarray(-stress / units.GPa)

    def conserved_energy(self) -> float | None:
        """Energy in eV that exact integration keeps constant; None where there is none."""
        if self.ensemble.conserved is None:
            return None
        return float(self.ensemble.conserved(self.dynamics)) - self.conserved_offset

    def ramp(self) -> None:
        """Set the thermostat to the present target temperature."""
        if self.settings.temperature_end_K is not None:
            with self._outside_work():
                self._set_target()

    def take_temperature(self, temperature_K: float) -> None:
        """Go on at another temperature, with all momenta scaled to it.

        The momenta of thermostat and barostat count, too, so that canonical momenta of the old
        temperature become canonical ones of the new (Mori and Okamoto, J. Phys. Soc. Jpn. 79,
        074003 (2010)).
        """
        factor = float(np.sqrt(temperature_K / self.target_temperature_K))
        with self._outside_work():
            INTEGRATORS[type(self.dynamics).__name__].scale_momenta(self.dynamics, factor)
            momenta = factor * self.atoms.get_momenta()
            self.atoms.set_momenta(momenta, apply_constraint=False)
            self.exchanged_temperature_K = temperature_K
            self._set_target()

    def resume_target(self) -> None:
        """Set the thermostat as it was when the simulation was saved."""
        ramped = self.settings.temperature_end_K is not None
        if ramped or self.exchanged_temperature_K is not None:
            self._set_target()

    def forget(self) -> None:
        """Evaluate the structure as if for the first time.

        Calculators may keep things that change the last bits of what follows, such as a
        neighbour list in the order of an earlier structure. A simulation that forgets them
        whenever it can be resumed goes on in the same way whether it is or not.
        """
        reset(self.atoms)

    def _set_target(self) -> None:
        self.ensemble.set_temperature(
            self.dynamics, self.target_temperature_K, self.degrees_of_freedom
        )

    @contextmanager
    def _outside_work(self) -> Iterator[None]:
        """Changes made meanwhile are work from outside, and not drift."""
        before = self.conserved_energy()
        yield
        after = self.conserved_energy()
        if before is not None and after is not None:
            self.conserved_offset += after - before


def begin(atoms: Atoms, calculator: Any, settings: MDSettings) -> Simulation:
    """A simulation at its first step, of a copy of the atoms.

    Raises
    ------
    ValueError
        If the structure is empty or has positions that are not finite, or structure and ensemble
        do not fit each other, or the structure is far from satisfying its constraints.
    """
    ensemble = ENSEMBLES[settings.ensemble]
    if len(atoms) == 0:
        raise ValueError("the structure has no atoms; give an Atoms object with at least one")
    broken = np.flatnonzero(~np.isfinite(atoms.positions).all(axis=1))
    if broken.size:
        raise ValueError(
            f"{broken.size} of {len(atoms)} atoms have a NaN or infinite position, atom "
            f"{broken[0]} first; look at the structure"
        )
    atoms = atoms.copy()
    if {"step", "time_fs"} <= atoms.info.keys():  # of the trajectory that the frame is from
        del atoms.info["step"], atoms.info["time_fs"]
    atoms.calc = as_calculator(calculator)
    check_spread(atoms.calc, settings)
    ensemble.check(atoms, settings)
    manifold = constraints.constrain(atoms)
    rng = np.random.default_rng(settings.seed)
    drawn = not atoms.get_momenta().any()
    if drawn:
        velocities.draw_velocities(atoms, settings.temperature_K, rng, manifold)
    number = velocities.degrees_of_freedom(atoms, ensemble.conserves_momentum, manifold)
    # The first evaluation finds what is wrong with the structure before any file is made.
    reset(atoms)
    dynamics = ensemble.build(atoms, settings, rng, number, manifold)
    source = "drawn" if drawn else "structure"
    return Simulation(settings, dynamics, rng, number, source, manifold)


def as_calculator(calculator: Any) -> Any:
    """An ASE calculator, or the calculator of a potential given by its name or path."""
    if isinstance(calculator, str | os.PathLike):
        from ase_geomformer.calculator import PotentialCalculator

        return PotentialCalculator(calculator)
    return calculator


def check_spread(calculator: Any, settings: MDSettings) -> None:
    """Refuse limits of what a calculator does not give: spread, extrapolation grade."""
    limits = {
        "guards.max_forces_spread_eV_per_A": settings.guards.max_forces_spread_eV_per_A,
        "harvest.min_forces_spread_eV_per_A": settings.harvest.min_forces_spread_eV_per_A,
    }
    for name, value in limits.items():
        if value is not None and "forces_spread" not in calculator.implemented_properties:
            raise ValueError(
                f"{name} = {value} needs a committee, and {type(calculator).__name__} is a single "
                "potential; give several"
            )
    grades = {
        "guards.max_extrapolation": settings.guards.max_extrapolation,
        "harvest.min_extrapolation": settings.harvest.min_extrapolation,
    }
    for name, value in grades.items():
        if value is not None and "extrapolation" not in calculator.implemented_properties:
            raise ValueError(
                f"{name} = {value} needs a single potential with statistics of its training data"
            )


def reset(atoms: Atoms) -> None:
    """Evaluate atoms with a calculator that has forgotten what it knew."""
    if hasattr(atoms.calc, "reset"):
        atoms.calc.reset()
    atoms.get_forces(apply_constraint=False)
