"""Dynamics of constant energy or temperature in a fixed cell, built on ASE's integrators.

Some of them can be told neither the number of degrees of freedom nor another temperature; their
private attributes are then set, and the tests of ensembles, ramps and restarts compare what comes
of it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from ase import Atoms, units
from ase.md.md import MolecularDynamics

from ase_geomformer.md.constraints import Manifold
from ase_geomformer.md.settings import MDSettings


def nve(
    atoms: Atoms,
    settings: MDSettings,
    _rng: np.random.Generator,
    _number: int,
    manifold: Manifold | None = None,
    /,
) -> MolecularDynamics:
    """Constant energy."""
    from ase.md.verlet import VelocityVerlet

    from ase_geomformer.md.verlet import ConstrainedVerlet

    return _choose(VelocityVerlet, ConstrainedVerlet, manifold)(atoms, timestep(settings))


def langevin(
    atoms: Atoms,
    settings: MDSettings,
    rng: np.random.Generator,
    _number: int,
    manifold: Manifold | None = None,
    /,
) -> MolecularDynamics:
    """Friction and noise."""
    from ase_geomformer.md.langevin import ConstrainedLangevin, MeteredLangevin

    return _choose(MeteredLangevin, ConstrainedLangevin, manifold)(
        atoms,
        timestep(settings),
        temperature_K=settings.temperature_K,
        T_tau=units.fs / settings.friction_per_fs,
        rng=rng,
        # The cell is fixed: this only spares a matrix exponential in every step.
        hydrostatic=True,
    )


def bussi(
    atoms: Atoms,
    settings: MDSettings,
    rng: np.random.Generator,
    degrees_of_freedom: int,
    manifold: Manifold | None = None,
    /,
) -> MolecularDynamics:
    """Stochastic velocity rescaling."""
    from ase.md.bussi import Bussi

    from ase_geomformer.md.bussi import ConstrainedBussi

    dynamics = _choose(Bussi, ConstrainedBussi, manifold)(
        atoms,
        timestep(settings),
        temperature_K=settings.temperature_K,
        taut=settings.thermostat_time_fs * units.fs,
        rng=rng,
    )
    dynamics.ndof = degrees_of_freedom
    set_bussi(dynamics, settings.temperature_K, degrees_of_freedom)
    return dynamics


def nose_hoover(
    atoms: Atoms,
    settings: MDSettings,
    _rng: np.random.Generator,
    degrees_of_freedom: int,
    manifold: Manifold | None = None,
    /,
) -> MolecularDynamics:
    """A Nose-Hoover chain."""
    from ase.md.nose_hoover_chain import NoseHooverChainNVT

    from ase_geomformer.md.nose_hoover import ConstrainedNoseHoover

    dynamics = _choose(NoseHooverChainNVT, ConstrainedNoseHoover, manifold)(
        atoms,
        timestep(settings),
        temperature_K=settings.temperature_K,
        tdamp=settings.thermostat_time_fs * units.fs,
    )
    return recount(dynamics, settings, degrees_of_freedom)


def _choose(
    plain: Callable[..., Any], constrained: Callable[..., Any], manifold: Manifold | None
) -> Callable[..., Any]:
    """ASE's integrator, or the same along the surface of the constraints."""
    return plain if manifold is None else partial(constrained, manifold)


def timestep(settings: MDSettings) -> float:
    """Time step in ASE's units."""
    return settings.timestep_fs * units.fs


def recount(dynamics: Any, settings: MDSettings, degrees_of_freedom: int) -> MolecularDynamics:
    """Give Nose-Hoover dynamics a chain for another number of degrees of freedom.

    ASE's chain counts three times its number of atoms and has no other way to be told.
    """
    from ase.md.nose_hoover_chain import NoseHooverChainThermostat

    dynamics._thermostat = NoseHooverChainThermostat(
        num_atoms_global=degrees_of_freedom / 3,  # type: ignore[arg-type]
        masses=dynamics.masses,
        temperature_K=settings.temperature_K,
        tdamp=settings.thermostat_time_fs * units.fs,
    )
    return dynamics


def keep_temperature(*_: Any) -> None:
    """Constant energy has no target."""


def set_langevin(dynamics: Any, temperature_K: float, _: int) -> None:
    """Give Langevin dynamics another temperature."""
    dynamics.set_temperature(temperature_K)


def set_bussi(dynamics: Any, temperature_K: float, degrees_of_freedom: int) -> None:
    """Give Bussi's thermostat another temperature."""
    dynamics.temp = units.kB * temperature_K
    dynamics.target_kinetic_energy = 0.5 * dynamics.temp * degrees_of_freedom


def set_nose_hoover(dynamics: Any, temperature_K: float, _: int) -> None:
    """Give the first chain another temperature."""
    # The masses of the chain stay: the thermostat's frequency then follows the temperature.
    dynamics._thermostat._kT = units.kB * temperature_K
