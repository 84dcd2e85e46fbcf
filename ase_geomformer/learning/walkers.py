"""Walkers: dynamics of several structures whose forces are evaluated together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from ase import Atoms

from ase_geomformer.evaluate import as_evaluator
from ase_geomformer.md import guards
from ase_geomformer.md.driver import RAISED
from ase_geomformer.md.replicas.lockstep import ReplicaCalculator, advance
from ase_geomformer.md.settings import MDSettings
from ase_geomformer.md.simulation import begin
from ase_geomformer.potential import Potential


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
    stopped : bool
        Whether a guard, or any error, ended it before its last step.
    """

    def __init__(self, atoms: Atoms, calculator: ReplicaCalculator, settings: MDSettings) -> None:
        self.simulation = begin(atoms, calculator, settings)
        self.frames: list[Atoms] = []
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


def walk(
    potential: Potential, starts: Sequence[Atoms], settings: Sequence[MDSettings]
) -> list[Walker]:
    """Walk from each start, nothing being written.

    Parameters
    ----------
    potential : Potential
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
