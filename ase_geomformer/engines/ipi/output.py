"""The files of a path-integral run on its way."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ase import Atoms

from ase_geomformer.engines.ipi import restart
from ase_geomformer.engines.ipi.simulation import RingPolymer
from ase_geomformer.md.output import LOG_FILE, RESTART_FILE
from ase_geomformer.md.recorder import Log
from ase_geomformer.md.trajectories import AseTrajectory
from ase_geomformer.runs.folder import RunFolder

TRAJECTORY_FILE, BEADS_FILE = "trajectory.traj", "beads.traj"


@dataclass
class Frame:
    """What a trajectory writes next."""

    atoms: Atoms
    step: int = 0
    time_fs: float = 0.0


class Output:
    """Log, trajectories and restart file; without a folder only the log, in memory.

    Parameters
    ----------
    polymer : RingPolymer
    folder : RunFolder
    evaluation : object
        How the calculator evaluates, for the restart file.
    checkpoint : Checkpoint, optional
        The one that the run resumes from.

    Raises
    ------
    FileNotFoundError
        If a file is missing that the run resumes with, or shorter than it was.
    """

    def __init__(
        self,
        polymer: RingPolymer,
        folder: RunFolder,
        evaluation: Any,
        checkpoint: restart.Checkpoint | None = None,
    ) -> None:
        self._polymer, self._folder, self._evaluation = polymer, folder, evaluation
        self._began = time.perf_counter()
        self._before = checkpoint.facts.wall_time_s if checkpoint else 0.0
        self._frame = Frame(polymer.start)
        self._trajectories: dict[str, AseTrajectory] = {}
        if folder.path is None:
            self.log = Log()
            return
        places = checkpoint.facts.files if checkpoint else {}
        names = [TRAJECTORY_FILE, *([BEADS_FILE] if polymer.settings.all_beads else [])]
        if checkpoint:
            for name in (LOG_FILE, *names):
                _check(folder.path / name, places.get(name))
        self.log = Log(folder.path / LOG_FILE, places[LOG_FILE][0] if places else None)
        for name in names:
            path = folder.path / name
            self._trajectories[name] = AseTrajectory(path, self._frame, places.get(name))

    @property
    def wall_time(self) -> float:
        """Seconds that the run has taken so far, in earlier processes too."""
        return self._before + time.perf_counter() - self._began

    def record(self) -> None:
        """Write what is due at the present step, all but the restart file."""
        polymer, settings = self._polymer, self._polymer.settings
        if polymer.step % settings.log_interval == 0:
            self.log.add(polymer.row())
        if self._trajectories and polymer.step % settings.trajectory_interval == 0:
            self._write(TRAJECTORY_FILE, polymer.centroids())
            if settings.all_beads:
                for atoms in polymer.replicas():
                    self._write(BEADS_FILE, atoms)

    def checkpoint(self) -> None:
        """Write the restart file, and have the run continue from what is in it."""
        polymer, path = self._polymer, self._folder.file(RESTART_FILE)
        polymer.restore(polymer.state(), polymer.step)
        if path is not None:
            files = {LOG_FILE: [self.log.position]}
            files |= {name: file.position() for name, file in self._trajectories.items()}
            restart.save(path, polymer, files, self.wall_time, self._evaluation)

    def close(self) -> None:
        self.log.close()
        for file in self._trajectories.values():
            file.close()

    def _write(self, name: str, atoms: Atoms) -> None:
        frame = self._frame
        frame.atoms, frame.step, frame.time_fs = atoms, self._polymer.step, self._polymer.time_fs
        self._trajectories[name].write()


def _check(path: Path, place: list[int] | None) -> None:
    """Refuse to resume with a file that is missing or shorter than it was."""
    if place is None or not path.is_file() or path.stat().st_size < place[0]:
        raise FileNotFoundError(
            f"{path} is missing, or shorter than when {RESTART_FILE} was written, so that the run "
            "cannot be resumed; put it back, or start a new run"
        )
    if path.name != LOG_FILE:
        try:
            AseTrajectory.check_position(path, place)
        except Exception as error:  # of NumPy and ASE
            raise ValueError(f"{path} is damaged and cannot be continued: {error}") from error
