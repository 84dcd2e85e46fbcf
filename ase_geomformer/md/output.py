"""The files of a run while it is under way."""

from __future__ import annotations

import os
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ase_geomformer.machine.files import atomic_file, expanded
from ase_geomformer.md import restart
from ase_geomformer.md.harvest import HARVEST_FILE, Harvest
from ase_geomformer.md.recorder import Recorder
from ase_geomformer.md.settings import MDSettings
from ase_geomformer.md.simulation import Simulation
from ase_geomformer.md.trajectories import TRAJECTORIES, TrajectoryFile
from ase_geomformer.runs.folder import RESULT_FILE, SETTINGS_FILE, check_folder, start_folder

LOG_FILE = "log.csv"
RESTART_FILE = "restart.npz"
FINAL_FILE = "final.extxyz"
OFFENDING_FILE = "offending.extxyz"
LAST_GOOD_FILE = "last_good.traj"
FIGURE_FILE = "md.png"
# What a run writes at its end, and what it adds to on its way.
END_FILES = (FINAL_FILE, OFFENDING_FILE, LAST_GOOD_FILE, FIGURE_FILE)
# The restart file first: what is left of a run that is only half removed cannot be resumed.
FILES = (
    RESTART_FILE,
    LOG_FILE,
    HARVEST_FILE,
    *(f"trajectory.{suffix}" for suffix in TRAJECTORIES),
    *END_FILES,
)


class Output:
    """Log, trajectory and restart file of a simulation; without a folder only the log, in memory.

    Parameters
    ----------
    simulation : Simulation
    folder : Path or None
    checkpoint : Checkpoint, optional
        The one that the simulation resumes from.
    """

    def __init__(
        self,
        simulation: Simulation,
        folder: Path | None,
        checkpoint: restart.Checkpoint | None = None,
    ) -> None:
        self.simulation, self.folder = simulation, folder
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
        """Make the present step one that the run can resume from."""
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

    def wall_time(self) -> float:
        """Seconds that the run has taken so far, in earlier processes too."""
        return self.simulation.wall_time + time.perf_counter() - self._start

    def close(self) -> None:
        self.recorder.close()
        if self._trajectory is not None:
            self._trajectory.close()

    def whereabouts(self) -> str:
        """Where to look after a guard stopped the run."""
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
        from ase.io import write

        if self.folder is None:
            return
        with atomic_file(self.folder / (OFFENDING_FILE if stopped else FINAL_FILE)) as temporary:
            write(temporary, self.simulation.atoms, format="extxyz")
        frames = self.simulation.guard_memory.last_good(self.simulation.atoms) if stopped else []
        if frames:
            with atomic_file(self.folder / LAST_GOOD_FILE) as temporary:
                write(temporary, frames, format="traj")


def find_checkpoint(
    output: str | os.PathLike[str] | None, *, overwrite: bool
) -> restart.Checkpoint | None:
    """The checkpoint in the folder; None if the run there was killed before its first step.

    Raises
    ------
    ValueError
        If there is no folder, or it is also to be overwritten.
    FileNotFoundError
        If the folder holds something else, or files of the run are missing.
    """
    if output is None:
        raise ValueError("resume needs the output folder of the run to go on with")
    if overwrite:
        raise ValueError("resume goes on with a run, and overwrite replaces it; give one of them")
    folder = expanded(output)
    if (folder / RESTART_FILE).exists():
        checkpoint = restart.load(folder / RESTART_FILE)
        check_files(folder, checkpoint)
        return checkpoint
    names = {file.name for file in folder.iterdir()} if folder.is_dir() else set()
    if (folder / RESULT_FILE).exists() or not {
        name for name in names if not name.startswith(".")
    } <= {*FILES, SETTINGS_FILE}:
        raise FileNotFoundError(f"there is no {RESTART_FILE} in {folder} to resume from")
    return None


def check_files(folder: Path, checkpoint: restart.Checkpoint) -> None:
    """Refuse to go on with files that are gone, or hold less than they did."""
    files = checkpoint.facts["files"]
    trajectory = f"trajectory.{checkpoint.settings.trajectory_format}"
    for name, size in {LOG_FILE: files["log"], trajectory: files["trajectory"][0]}.items():
        path = folder / name
        if not path.is_file() or path.stat().st_size < size:
            raise FileNotFoundError(
                f"{path} is missing, or shorter than when {RESTART_FILE} was written, so that the "
                "run cannot be resumed; put it back, or start a new run from the last structure"
            )


def open_folder(
    output: str | os.PathLike[str] | None,
    settings: MDSettings,
    inputs: dict[str, Any],
    *,
    resume: bool,
    overwrite: bool,
) -> Path | None:
    """Make the folder and write the settings; what a run resumes with stays."""
    if output is None:
        return None
    folder = check_folder(output, overwrite=overwrite or resume)
    for name in (*FILES, SETTINGS_FILE, RESULT_FILE):
        stem, _, suffix = name.rpartition(".")
        for left in folder.glob(f".{stem}-*.{suffix}"):  # by a killed process
            left.unlink()
    kept = resume and (folder / RESTART_FILE).exists()
    start_folder(folder, {**inputs, **asdict(settings)}, END_FILES if kept else FILES)
    return folder
