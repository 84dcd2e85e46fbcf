"""Trajectories as arrays, from memory or file."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from ase import Atoms, units
from ase.data import atomic_numbers
from ase.geometry import complete_cell

from ase_geomformer.machine.bounded import read_json, read_yaml
from ase_geomformer.machine.bounded_structures import check_structure_file
from ase_geomformer.machine.files import expanded
from ase_geomformer.md.h5md import read_h5md
from ase_geomformer.md.trajectories import TRAJECTORIES
from ase_geomformer.runs.folder import RESULT_FILE, SETTINGS_FILE
from ase_geomformer.settings.plain import check_plain

# Times this close to a multiple of the spacing, relative to it, are that multiple.
_SAME_TIME = 1e-3
# Spacings tried, from the closest on.
_CANDIDATES = 1000
# Wrapped positions stay within a cell, or two where molecules are kept whole.
_WRAPPED = 2.0


@dataclass(frozen=True, eq=False)
class Frames:
    """Equally spaced frames of the same T by N atoms.

    Attributes
    ----------
    numbers : array (N,)
        Atomic numbers.
    masses : array (N,), amu
    positions : array (T, N, 3), Å
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
        kept = np.arange(len(self))[chosen]
        return replace(_chosen(self, kept), interval_fs=self.interval_fs * (chosen.step or 1))

    def unwrapped(self) -> Frames:
        """The frames with positions that follow the atoms out of the cell.

        An atom that jumps by more than half a cell along a periodic cell vector from one frame to
        the next was wrapped, if all positions are within two cells along it; an atom that really
        moves that fast leaves them.

        Warns
        -----
        UserWarning
            If positions were wrapped.
        """
        if len(self) < 2 or not self.pbc.any():
            return self
        cells = np.array([complete_cell(cell) for cell in self.cells])
        scaled = np.einsum("tnc,tcd->tnd", self.positions, np.linalg.inv(cells))
        extent = np.ptp(scaled, axis=(0, 1))
        jumps = np.round(np.diff(scaled, axis=0)) * (self.pbc & (extent <= _WRAPPED))
        if not jumps.any():
            return self
        warnings.warn(
            f"{int(np.count_nonzero(jumps))} jumps by half a cell or more: the positions are "
            "wrapped into the cell, and are unwrapped here",
            stacklevel=3,
        )
        images = np.concatenate([np.zeros((1, *scaled.shape[1:])), -jumps.cumsum(axis=0)])
        return replace(self, positions=self.positions + np.einsum("tnd,tdc->tnc", images, cells))

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

    Frames of a run carry their times. Where these are not equally spaced, because the run was
    resumed with another ``trajectory_interval``, the frames at the closest equal spacing that all
    of it has are taken, with a warning.

    Parameters
    ----------
    source : path or sequence of ase.Atoms
        H5MD files end in ``.h5md``; all others are read by ASE.
    interval_fs : float, optional
        Time from frame to frame, for frames that do not carry their times (``time_fs`` in
        ``info``); where it is given, it is used in any case.

    Raises
    ------
    ValueError
        If the interval is not known, the times have no equal spacing, or frames are of different
        atoms.
    FileNotFoundError
        If there is no such trajectory.
    """
    if not isinstance(source, str | os.PathLike):
        return _stack(source, interval_fs)
    path = expanded(source)
    folder = path if path.is_dir() else None
    if folder is not None:
        path = _trajectory_of(folder)
    if not path.is_file():
        raise FileNotFoundError(f"there is no trajectory {path}")
    with _named(path):
        if path.suffix == ".h5md":
            return _read_h5md(path, interval_fs)
        from ase.io import iread

        check_structure_file(path)
        frames = list(iread(path, index=":"))
        if folder is not None and interval_fs is None and not any(map(_time, frames)):
            interval_fs = _interval_of(folder, len(frames))
        return _stack(frames, interval_fs)


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """Errors of readers, each of which has its own, as one that names the file."""
    try:
        yield
    except Exception as error:
        detail = str(error) or "it ends too early"
        raise ValueError(f"cannot take frames from {path}: {detail}") from error


def _trajectory_of(folder: Path) -> Path:
    """The trajectory of a run."""
    for suffix in TRAJECTORIES:
        path = folder / f"trajectory.{suffix}"
        if path.is_file():
            return path
    raise FileNotFoundError(f"there is no trajectory in the folder {folder}")


def _interval_of(folder: Path, count: int) -> float | None:
    """Interval of a run whose frames do not carry their times; None if it is not known.

    Only the last settings are known, which are those of all frames if their number is right.
    """
    if not (folder / SETTINGS_FILE).is_file():
        return None
    settings = read_yaml(folder / SETTINGS_FILE)
    every, timestep = settings["trajectory_interval"], settings["timestep_fs"]
    check_plain(every, int, "trajectory_interval")
    check_plain(timestep, float, "timestep_fs")
    if every < 1 or timestep <= 0:
        raise ValueError(f"trajectory_interval = {every} and timestep_fs = {timestep}")
    if (folder / RESULT_FILE).is_file():
        steps = read_json(folder / RESULT_FILE).get("steps")
        check_plain(steps, int | None, "steps")
        if steps is not None and count != steps // every + 1:
            raise ValueError(
                f"the {count} frames in {folder} are not those of {steps} steps with one every "
                f"{every}: the run was resumed with another trajectory_interval, and its frames do "
                "not carry their times. Load each part as a list of atoms, with interval_fs"
            )
    return float(timestep * every)


def _time(atoms: Atoms) -> float | None:
    time = atoms.info.get("time_fs")
    return None if time is None else float(time)


def _stack(frames: Sequence[Atoms], interval_fs: float | None) -> Frames:
    if not frames:
        raise ValueError("there are no frames")
    first = frames[0]
    if any(not np.array_equal(frame.numbers, first.numbers) for frame in frames):
        raise ValueError("the frames are not all of the same atoms")
    times = [_time(frame) for frame in frames]
    if interval_fs is None and None in times:
        raise ValueError(
            "give interval_fs, the time from frame to frame: the frames do not carry their times"
        )
    stacked = Frames(
        first.numbers,
        first.get_masses(),
        np.array([frame.positions for frame in frames]),
        np.array([frame.get_velocities() for frame in frames]) * units.fs,
        np.array([frame.cell.array for frame in frames]),
        first.pbc,
        interval_fs or 0.0,
    )
    _check_finite(stacked)
    return stacked if interval_fs is not None else _equally_spaced(stacked, np.array(times))


def _read_h5md(path: Path, interval_fs: float | None) -> Frames:
    arrays = read_h5md(path)
    if "velocity" not in arrays:
        raise ValueError("it has no velocities")
    open_cell = np.zeros((len(arrays["position"]), 3, 3))
    frames = Frames(
        arrays["species"],
        arrays["mass"],
        arrays["position"].astype(np.float64),
        arrays["velocity"].astype(np.float64),
        arrays.get("box/edges", open_cell),
        arrays["boundary"],
        interval_fs or 0.0,
    )
    _check_finite(frames)
    return frames if interval_fs is not None else _equally_spaced(frames, arrays["time"])


def _check_finite(frames: Frames) -> None:
    for name in ("positions", "velocities", "cells"):
        finite = np.isfinite(getattr(frames, name)).all(axis=(1, 2))
        if not finite.all():
            raise ValueError(f"frame {int(finite.argmin())} has {name} that are not finite")


def _equally_spaced(frames: Frames, times: np.ndarray) -> Frames:
    """Those frames that are equally spaced in time (T,), fs, from the first to the last.

    Raises
    ------
    ValueError
        If times do not increase, or have no spacing in common.
    """
    if not np.isfinite(times).all():
        raise ValueError("the times of the frames are not finite")
    if len(times) < 2:
        return frames
    gone = np.diff(times)
    if (gone <= 0).any():
        first = int((gone <= 0).argmax()) + 1
        raise ValueError(
            f"the times of the frames do not increase: frame {first} is at {times[first]:g} fs, "
            f"after {times[first - 1]:g} fs"
        )
    for spacing in (times - times[0])[1:_CANDIDATES]:
        rounds = (times - times[0]) / spacing
        kept = np.flatnonzero(np.abs(rounds - np.round(rounds)) < _SAME_TIME)
        if len(kept) == int(rounds[-1] + _SAME_TIME) + 1:
            break
    else:
        kept = np.zeros(0, dtype=int)
    if len(kept) < min(3, len(times)):
        raise ValueError(
            f"the {len(times)} frames are {gone.min():g} to {gone.max():g} fs apart and have no "
            "equal spacing in common; load the parts that have, as lists of atoms"
        )
    if len(kept) < len(times):
        warnings.warn(
            f"the frames are {gone.min():g} to {gone.max():g} fs apart; {len(kept)} of "
            f"{len(times)} are taken, {spacing:g} fs apart",
            stacklevel=4,
        )
    return replace(_chosen(frames, kept), interval_fs=float(spacing))


def _chosen(frames: Frames, kept: np.ndarray) -> Frames:
    return replace(
        frames,
        positions=frames.positions[kept],
        velocities=frames.velocities[kept],
        cells=frames.cells[kept],
    )
