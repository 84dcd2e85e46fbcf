"""The files of a run."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ase_geomformer.md import restart
from ase_geomformer.md.harvest import HARVEST_FILE, Harvest
from ase_geomformer.md.recorder import Recorder
from ase_geomformer.md.settings import MDSettings
from ase_geomformer.md.simulation import Simulation
from ase_geomformer.md.trajectories import TRAJECTORIES, TrajectoryFile
from ase_geomformer.runs.folder import FINAL_FILES, RunFolder

LOG_FILE = "log.csv"
RESTART_FILE = "restart.npz"
OFFENDING_FILE = "offending.extxyz"
LAST_GOOD_FILE = "last_good.traj"
FIGURE_FILE = "md.png"
# What a run writes at its end, and what it adds to on its way.
END_FILES = (*FINAL_FILES, OFFENDING_FILE, LAST_GOOD_FILE, FIGURE_FILE)
# The restart file first: what is left of a run that is only half removed cannot be resumed.
FILES = (
    RESTART_FILE,
    LOG_FILE,
    HARVEST_FILE,
    *(f"trajectory.{suffix}" for suffix in TRAJECTORIES),
    *END_FILES,
)


class FolderRemovedError(Exception):
    """A run's files are not there any more."""

    def __init__(self, folder: Path | None) -> None:
        super().__init__(
            f"the folder {folder} was removed or replaced while the run was under way; nothing "
            "more is written"
        )


class Output:
    """Log, trajectory and restart file of a simulation; without a folder only the log, in memory.

    Parameters
    ----------
    simulation : Simulation
    run_folder : RunFolder
    checkpoint : Checkpoint, optional
        The one that the simulation resumes from.
    """

    def __init__(
        self,
        simulation: Simulation,
        run_folder: RunFolder,
        checkpoint: restart.Checkpoint | None = None,
    ) -> None:
        self.simulation, self.run_folder = simulation, run_folder
        folder = self.folder = run_folder.path
        self._start = time.perf_counter()
        self._trajectory: TrajectoryFile | None = None
        self._harvest: Harvest | None = None
        if folder is None:
            self.recorder = Recorder(simulation)
            return
        # ASE has observers look at step 0 again, so that its files begin anew, too.
        files = checkpoint.facts["files"] if checkpoint and checkpoint.facts["step"] else {}
        self.recorder = Recorder(simulation, folder / LOG_FILE, files.get("log"))
        name = simulation.settings.trajectory_format
        self._trajectory = TRAJECTORIES[name](
            folder / f"trajectory.{name}", simulation, files.get("trajectory")
        )
        self._harvest = Harvest(folder / HARVEST_FILE, simulation, files.get("harvest"))

    def attach(self) -> None:
        """Have the dynamics write on its way."""
        settings, dynamics = self.simulation.settings, self.simulation.dynamics
        dynamics.attach(self.recorder, settings.log_interval)
        if self._trajectory is not None:
            dynamics.attach(self._trajectory.write, settings.trajectory_interval)
        if self._harvest is not None:
            dynamics.attach(self._harvest, 1)

    def checkpoint(self) -> None:
        """Make the present step one that the run can resume from.

        Raises
        ------
        FolderRemovedError
            If the files are not there any more.
        """
        if not self.are_there():
            raise FolderRemovedError(self.folder)
        if self.simulation.step > 0:
            self.simulation.forget()
        self.save()

    def save(self) -> None:
        """Write the restart file."""
        if self.folder is not None:
            path = self.folder / RESTART_FILE
            restart.save(path, self.simulation, self.positions(), self.wall_time())

    def positions(self) -> dict[str, Any]:
        """Lengths of the files, with all that was written so far safely in them."""
        found: dict[str, Any] = {"log": self.recorder.position}
        if self._trajectory is not None:
            found["trajectory"] = self._trajectory.position()
        if self._harvest is not None:
            found["harvest"] = self._harvest.position()
        return found

    def are_there(self) -> bool:
        """Whether the log is still the file that is written to; it is not in a removed folder."""
        return self.folder is None or self.recorder.is_there()

    def wall_time(self) -> float:
        """Seconds that the run has taken so far, in earlier processes too."""
        return self.simulation.wall_time + time.perf_counter() - self._start

    def close(self) -> None:
        there = self.are_there()
        self.recorder.close()
        if self._trajectory is not None and there:
            self._trajectory.close()

    def whereabouts(self) -> str:
        """Files to look at after a guard stopped the run."""
        if self.folder is None:
            return ""
        text = f" The frame is in {OFFENDING_FILE}"
        if self.simulation.step > 0:
            text += f", those before it in {LAST_GOOD_FILE}"
        if (self.folder / RESTART_FILE).exists():
            step = restart.load(self.folder / RESTART_FILE).facts["step"]
            text += f"; {RESTART_FILE} is of step {step}"
        return text + "."

    def write_end(self, stopped: bool) -> None:
        """Write the last structure; those before it too when a guard stopped the run."""
        if stopped:
            self.run_folder.save_atoms(OFFENDING_FILE, self.simulation.atoms)
        else:
            self.run_folder.save_final(self.simulation.atoms)
        frames = self.simulation.guard_memory.last_good(self.simulation.atoms) if stopped else []
        if frames:
            self.run_folder.save_atoms(LAST_GOOD_FILE, frames)


def run_folder(
    output: str | os.PathLike[str] | None, *, resume: bool, overwrite: bool
) -> RunFolder:
    """The folder of a run, checked; nothing is written yet."""
    return RunFolder(output, resume=resume, overwrite=overwrite, checkpoint=RESTART_FILE, own=FILES)


def find_checkpoint(folder: RunFolder) -> restart.Checkpoint | None:
    """The checkpoint to resume from; None if there is none yet.

    Raises
    ------
    FileNotFoundError
        If files of the run are missing.
    """
    if not folder.resumed or folder.path is None:
        return None
    checkpoint = restart.load(folder.path / RESTART_FILE)
    check_files(folder.path, checkpoint)
    return checkpoint


def check_files(folder: Path, checkpoint: restart.Checkpoint) -> None:
    """Refuse to resume with files that are missing or shorter than they were.

    A run that resumes from step 0 starts its files anew, so that it needs none.
    """
    if checkpoint.facts["step"] == 0:
        return
    files = checkpoint.facts["files"]
    trajectory = f"trajectory.{checkpoint.settings.trajectory_format}"
    for name, size in {LOG_FILE: files["log"], trajectory: files["trajectory"][0]}.items():
        path = folder / name
        if not path.is_file() or path.stat().st_size < size:
            raise FileNotFoundError(
                f"{path} is missing, or shorter than when {RESTART_FILE} was written, so that the "
                "run cannot be resumed; put it back, or start a new run from the last structure"
            )
    with restart.sound(checkpoint.path):
        kind = TRAJECTORIES[checkpoint.settings.trajectory_format]
        kind.check_position(folder / trajectory, files["trajectory"])


def start(folder: RunFolder, settings: MDSettings, inputs: Mapping[str, Any]) -> None:
    """Make the folder and write the settings; what a run resumes from stays."""
    kept = set(FILES) - set(END_FILES)
    folder.start({**inputs, **asdict(settings)}, files=FILES, kept=kept)
