"""Trajectories as arrays, from memory or file."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms, units
from ase.data import atomic_numbers

from ase_geomformer.machine.bounded import read_yaml
from ase_geomformer.machine.files import expanded
from ase_geomformer.md.trajectories import TRAJECTORIES
from ase_geomformer.runs.folder import SETTINGS_FILE


@dataclass(frozen=True, eq=False)
class Frames:
    """Equally spaced frames of the same T by N atoms.

    Attributes
    ----------
    numbers : array (N,)
        Atomic numbers.
    masses : array (N,), amu
    positions : array (T, N, 3), Å
        Not wrapped into the cell.
    velocities : array (T, N, 3), Å/fs
    cells : array (T, 3, 3), Å
    pbc : array (3,) of bool
    interval_fs : float
        Time from frame to frame.
    """

    numbers: np.ndarray
    masses: np.ndarray
    positions: np.ndarray
    velocities: np.ndarray
    cells: np.ndarray
    pbc: np.ndarray
    interval_fs: float

    def __len__(self) -> int:
        return len(self.positions)

    def __getitem__(self, chosen: slice) -> Frames:
        """Some of the frames, as ``frames[100:]`` leaves out the first hundred."""
        return Frames(
            self.numbers,
            self.masses,
            self.positions[chosen],
            self.velocities[chosen],
            self.cells[chosen],
            self.pbc,
            self.interval_fs * (chosen.step or 1),
        )

    def select(self, element: str | None) -> np.ndarray:
        """Which atoms (N,) are of an element; all of them for None.

        Raises
        ------
        ValueError
            If there are none.
        """
        if element is None:
            return np.ones(len(self.numbers), dtype=bool)
        chosen: np.ndarray = self.numbers == atomic_numbers.get(element, -1)
        if not chosen.any():
            raise ValueError(f"there is no atom of element {element!r} in the trajectory")
        return chosen


def load_frames(
    source: str | os.PathLike[str] | Sequence[Atoms], interval_fs: float | None = None
) -> Frames:
    """Frames of a run's folder, a trajectory file or a list of atoms.

    Parameters
    ----------
    source : path or sequence of ase.Atoms
        H5MD files end in ``.h5md``; all others are read by ASE.
    interval_fs : float, optional
        Time from frame to frame; a run's folder and H5MD files know it.

    Raises
    ------
    ValueError
        If the interval is not known, or frames are of different atoms.
    FileNotFoundError
        If there is no such trajectory.
    """
    if isinstance(source, str | os.PathLike):
        path = expanded(source)
        if path.is_dir():
            path, interval_fs = _of_run(path, interval_fs)
        if not path.is_file():
            raise FileNotFoundError(f"there is no trajectory {path}")
        if path.suffix == ".h5md":
            return _read_h5md(path)
        from ase.io import iread

        source = list(iread(path, index=":"))
    if interval_fs is None:
        raise ValueError("give interval_fs, the time from frame to frame")
    return _stack(source, interval_fs)


def _of_run(folder: Path, interval_fs: float | None) -> tuple[Path, float | None]:
    """Trajectory and interval of a run's folder."""
    for suffix in TRAJECTORIES:
        path = folder / f"trajectory.{suffix}"
        if path.is_file():
            break
    else:
        raise FileNotFoundError(f"there is no trajectory in the folder {folder}")
    if interval_fs is None and (folder / SETTINGS_FILE).is_file():
        settings = read_yaml(folder / SETTINGS_FILE)
        interval_fs = settings["timestep_fs"] * settings["trajectory_interval"]
    return path, interval_fs


def _stack(frames: Sequence[Atoms], interval_fs: float) -> Frames:
    first = frames[0]
    if any(not np.array_equal(frame.numbers, first.numbers) for frame in frames):
        raise ValueError("the frames are not all of the same atoms")
    return Frames(
        first.numbers,
        first.get_masses(),
        np.array([frame.positions for frame in frames]),
        np.array([frame.get_velocities() for frame in frames]) * units.fs,
        np.array([frame.cell.array for frame in frames]),
        first.pbc,
        interval_fs,
    )


def _read_h5md(path: Path) -> Frames:
    import h5py

    with h5py.File(path, "r", libver="latest", swmr=True, locking=False) as file:
        group: Any = file["particles/trajectory"]
        positions = group["position/value"][...].astype(np.float64)
        times = group["position/time"][...]
        open_cell = np.zeros((len(positions), 3, 3))
        return Frames(
            group["species"][...],
            group["mass"][...],
            positions,
            group["velocity/value"][...].astype(np.float64),
            group["box/edges/value"][...] if "edges" in group["box"] else open_cell,
            np.array([kind == "periodic" for kind in group["box"].attrs["boundary"]]),
            float(times[1] - times[0]) if len(times) > 1 else 0.0,
        )
