"""Checks of energy conservation."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from ase import units
from ase.md.verlet import VelocityVerlet

from ase_geomformer.md.velocities import draw_velocities
from ase_geomformer.trust.check import Figure, NotApplicableError, check
from ase_geomformer.trust.system_under_test import SystemUnderTest

TEMPERATURE_K = 300.0
TIME_FS = 200.0
SAMPLES = 50


@check("energy conservation")
def conservation(system: SystemUnderTest) -> Iterator[Figure]:
    """The total energy changes only by the error of the time step.

    Total energy of one trajectory with two time steps, extrapolated to none.

    Velocity Verlet's error of the total energy goes with the square of the time step: four times
    that of half the step, less that of the step, cancels it and leaves what forces that are not
    the gradient of the energy, or jumps of it, have done.
    """
    if len(system.atoms) < 2:
        raise NotApplicableError("a single atom feels no force")
    timestep = 0.5 if 1 in system.atoms.numbers else 1.0
    coarse, fine = (_total_energies(system, timestep / halves) for halves in (1, 2))
    left = (4 * (fine - fine[0]) - (coarse - coarse[0])) / 3
    per_atom = 1000.0 / len(system.atoms)
    yield Figure(
        "unexplained change",
        float(np.abs(left).max()) * per_atom,
        "meV/atom",
        system.limits.conservation,
    )
    times = np.linspace(0.0, TIME_FS / 1000.0, SAMPLES + 1)
    slope = float(np.polyfit(times, (fine - fine[0]) * per_atom, 1)[0])
    yield Figure("drift", slope, "meV/atom/ps", system.limits.drift)


def _total_energies(system: SystemUnderTest, timestep_fs: float) -> np.ndarray:
    """Total energy in eV at equal intervals of a run from seeded velocities."""
    atoms = system.atoms.copy()
    atoms.set_constraint()
    draw_velocities(atoms, TEMPERATURE_K, system.rng())
    atoms.calc = system.calculator
    dynamics = VelocityVerlet(atoms, timestep=timestep_fs * units.fs)
    energies = [atoms.get_total_energy()]
    for _ in range(SAMPLES):
        dynamics.run(round(TIME_FS / SAMPLES / timestep_fs))
        energies.append(atoms.get_total_energy())
    return np.array(energies)
