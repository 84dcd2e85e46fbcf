"""Walkers: dynamics of several structures whose forces are evaluated together."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from ase import Atoms

from ase_geomformer.evaluate import as_evaluator, evaluate_many
from ase_geomformer.md import guards
from ase_geomformer.md.driver import RAISED
from ase_geomformer.md.replicas.lockstep import ReplicaCalculator, advance
from ase_geomformer.md.settings import MDSettings
from ase_geomformer.md.simulation import begin
from ase_geomformer.runtime.prepared import Source


class Walker:
    """Dynamics of one structure, with the frames that it passes.

    Parameters
    ----------
    atoms : ase.Atoms
    calculator : ReplicaCalculator
    settings : MDSettings
        A frame is kept every ``trajectory_interval`` steps, without the first.

    Attributes
    ----------
    frames : list of Atoms
    times_ps, energies : list of float
        Time, and total energy in eV, of each frame.
    stopped : bool
        Whether a guard, or any error, ended it before its last step.
    """

    def __init__(self, atoms: Atoms, calculator: ReplicaCalculator, settings: MDSettings) -> None:
        self.simulation = begin(atoms, calculator, settings)
        self.frames: list[Atoms] = []
        self.times_ps: list[float] = []
        self.energies: list[float] = []
        self.stopped = False
        dynamics = self.simulation.dynamics
        dynamics.attach(lambda: guards.check_guards(self.simulation), 1)
        dynamics.attach(self._keep, settings.trajectory_interval)
        self._steps: Iterator[Any] = dynamics.irun(settings.steps)

    def advance(self) -> None:
        """Make one step, or none the first time."""
        next(self._steps)

    def _keep(self) -> None:
        if self.simulation.step:
            kept = self.simulation.atoms.copy()
            kept.calc = None
            self.frames.append(kept)
            self.times_ps.append(1e-3 * self.simulation.time_fs)
            self.energies.append(float(self.simulation.atoms.get_total_energy()))

    @property
    def drift_meV_per_atom_per_ps(self) -> float:
        """Slope of the total energy by least squares; NaN with fewer than three frames."""
        if len(self.frames) < 3:
            return float("nan")
        # Subtracting the mean keeps the digits of a small change in a large energy.
        energies = np.array(self.energies) - np.mean(self.energies)
        slope = np.polyfit(np.array(self.times_ps) - np.mean(self.times_ps), energies, 1)[0]
        return float(1e3 * slope / len(self.simulation.atoms))


def walk(
    potential: Source, starts: Sequence[Atoms], settings: Sequence[MDSettings]
) -> list[Walker]:
    """Walk from each start, nothing being written.

    Parameters
    ----------
    potential : Potential, or a prepared one
    starts : sequence of ase.Atoms
    settings : sequence of MDSettings
        One for each start, of the same number of steps.
    """
    evaluate = as_evaluator(potential)
    calculators = [ReplicaCalculator(evaluate, ("energy", "forces")) for _ in starts]
    try:
        walkers = [
            Walker(start, calculator, own)
            for start, calculator, own in zip(starts, calculators, settings, strict=True)
        ]
        going = dict(enumerate(walkers))
        for _ in range(1 + settings[0].steps):
            tasks = {index: walker.advance for index, walker in going.items()}
            for index, error in advance(dict(enumerate(calculators)), tasks).items():
                if isinstance(error, RAISED):
                    raise error
                going.pop(index).stopped = True
    finally:
        for calculator in calculators:
            calculator.companion.close()
    return walkers


def affordable_fs(
    potential: Source, starts: Sequence[Atoms], timestep_fs: float, seconds: float
) -> float:
    """How long dynamics of all starts may be to take so many seconds, by one evaluation, fs."""
    evaluate_many(starts, potential)
    started = time.perf_counter()
    evaluate_many(starts, potential)
    # Integrators and guards take about as long again.
    return timestep_fs * seconds / (2.0 * (time.perf_counter() - started))
