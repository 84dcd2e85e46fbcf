"""One of several replicas: a simulation with its files, step by step."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from ase import Atoms

from ase_geomformer.md import driver, restart
from ase_geomformer.md.output import Output, run_folder, start
from ase_geomformer.md.replicas.lockstep import ReplicaCalculator
from ase_geomformer.md.result import MDResult
from ase_geomformer.md.settings import MDSettings
from ase_geomformer.md.simulation import Simulation, begin


class Replica:
    """A simulation under way.

    Parameters
    ----------
    simulation : Simulation
    checkpoint : Checkpoint or None
        The one that it resumes from.
    folder : Path or None
        Of its own.
    inputs : mapping
        What its ``settings.yaml`` records beside the settings.
    """

    def __init__(
        self,
        simulation: Simulation,
        checkpoint: restart.Checkpoint | None,
        folder: Path | None,
        inputs: Mapping[str, Any],
    ) -> None:
        self.simulation = simulation
        settings, resumes = simulation.settings, checkpoint is not None
        own = run_folder(folder, resume=resumes and folder is not None, overwrite=not resumes)
        start(own, settings, inputs)
        self.files = Output(simulation, own, checkpoint)
        driver.watch(simulation, self.files)
        self.steps: Iterator[Any] = simulation.dynamics.irun(settings.steps - simulation.step)

    def advance(self) -> None:
        """Make one step, or none the first time."""
        next(self.steps)

    def snapshot(self) -> restart.Checkpoint:
        """State to resume from; the replica's own restart file is written, too."""
        self.files.save()
        return restart.snapshot(self.simulation, self.files.positions(), self.files.wall_time())

    def end(self, error: Exception | None, reason: str = "") -> MDResult:
        """Close the files and give the result; raise what the run cannot be blamed for."""
        self.files.close()
        if isinstance(error, driver.RAISED):
            raise error
        if error is not None:
            reason = driver.why(self.simulation, self.files, error)
        return driver.finish(self.simulation, self.files, reason, error)


def prepare(
    atoms: Atoms,
    calculator: ReplicaCalculator,
    settings: MDSettings,
    checkpoint: restart.Checkpoint | None,
    *,
    exchanges: bool,
) -> Simulation:
    """The simulation of a replica, at its beginning or where it was saved."""
    calculator.evaluate.calculator.reset()
    if checkpoint is None:
        simulation = begin(atoms, calculator, settings)
        simulation.exchanges = exchanges
    else:
        free = {entry.name: getattr(settings, entry.name) for entry in fields(settings)
                if entry.name in restart.FREE}  # fmt: skip
        simulation = restart.resume(checkpoint, calculator, replace(checkpoint.settings, **free))
    return simulation
