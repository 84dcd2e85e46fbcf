"""Trajectory files that can be cut back to where a run resumes."""

from __future__ import annotations

import io
import os
import struct
from pathlib import Path
from typing import Any, Protocol

from ase import Atoms

from ase_geomformer.machine.bounded_structures import check_appendable
from ase_geomformer.machine.files import atomic_file
from ase_geomformer.md.h5md import H5MDTrajectory
from ase_geomformer.md.simulation import Simulation
from ase_geomformer.runs.extxyz import marked

Position = list[int]


class Framed(Protocol):
    """What has frames to write: a simulation."""

    @property
    def atoms(self) -> Atoms: ...
    @property
    def step(self) -> int: ...
    @property
    def time_fs(self) -> float: ...


class TrajectoryFile(Protocol):
    """A file of frames under way.

    ``Format(path, simulation)`` starts a file at its first frame;
    ``Format(path, simulation, position)`` continues one from where it was when
    :meth:`position` was asked, and drops what follows.
    """

    def __init__(
        self, path: Path, simulation: Simulation, position: Position | None = None
    ) -> None: ...

    @staticmethod
    def check_position(path: Path, position: Position) -> None:
        """Refuse a position that the file does not have; ValueError says why."""

    def write(self) -> None:
        """Add the present frame."""

    def position(self) -> Position:
        """Where the file is, with all frames so far safely in it."""

    def close(self) -> None: ...


def check_length(path: Path, position: Position, count: int) -> None:
    """Refuse a position that does not have as many numbers as the format's, or too large ones."""
    if len(position) != count:
        raise ValueError(f"the position in {path.name} has {len(position)} numbers, not {count}")
    if position[0] > path.stat().st_size:
        raise ValueError(f"{path.name} is shorter than {position[0]}")


def stamped(simulation: Framed) -> Atoms:
    """The present frame with its step and time, whose results cost nothing to write."""
    frame = simulation.atoms.copy()
    frame.calc = simulation.atoms.calc
    frame.info.update(step=simulation.step, time_fs=simulation.time_fs)
    return frame


class AseTrajectory:
    """ASE's own format: exact, with all results of the calculator.

    A file is a header with the number of frames and the place of a table, whose entries point
    to the frames; ASE writes the frame first and the number last, so that a killed process
    leaves a readable file.
    """

    def __init__(self, path: Path, simulation: Framed, position: Position | None = None) -> None:
        self.path, self.simulation = path, simulation
        self._writer: Any = None
        if position is not None:
            _cut(path, position)
            self._open()

    @staticmethod
    def check_position(path: Path, position: Position) -> None:
        check_length(path, position, 3)
        size, frames, table = position
        with path.open("rb") as file:
            head = file.read(48)
        held = struct.unpack("<q", head[32:40])[0] if len(head) == 48 else 0
        if not 1 <= frames <= held or not 48 <= table <= size - 8 * frames:
            raise ValueError(f"{path.name} does not have {frames} frames with a table at {table}")
        check_appendable(path)

    def _open(self) -> None:
        from ase.io.trajectory import Trajectory

        self._writer = Trajectory(self.path, "a")

    def write(self) -> None:
        from ase.io.trajectory import Trajectory

        if self._writer:
            self._writer.write(stamped(self.simulation))
            return
        # A new file is empty, and so not yet a trajectory, until its first frame is written.
        with atomic_file(self.path) as temporary, Trajectory(temporary, "w") as first:
            first.write(stamped(self.simulation))
        self._open()

    def position(self) -> Position:
        backend = self._writer.backend
        os.fsync(backend.fd.fileno())
        return [backend.fd.tell(), int(backend.nitems), int(backend.pos0)]

    def close(self) -> None:
        if self._writer:
            self._writer.close()


def _cut(path: Path, position: Position) -> None:
    """Cut ASE's trajectory back to a number of frames."""
    size, frames, table = position
    with path.open("r+b") as file:
        file.seek(32)  # after magic string, tag and version: number of frames, place of the table
        file.write(struct.pack("<2q", frames, table))
        file.flush()
        file.truncate(size)


class ExtxyzTrajectory:
    """Extended XYZ: text with 8 decimals, one block per frame."""

    def __init__(
        self, path: Path, simulation: Simulation, position: Position | None = None
    ) -> None:
        self.simulation = simulation
        if position is not None:
            os.truncate(path, position[0])
        self._file = path.open("wb" if position is None else "ab")

    @staticmethod
    def check_position(path: Path, position: Position) -> None:
        check_length(path, position, 1)
        with path.open("rb") as file:
            file.seek(max(0, position[0] - 1))
            if position[0] and file.read(1) != b"\n":
                raise ValueError(f"{path.name} has no frame that ends at byte {position[0]}")

    def write(self) -> None:
        from ase.io import write

        text = io.StringIO()
        write(text, marked(stamped(self.simulation)), format="extxyz")
        self._file.write(text.getvalue().encode())
        self._file.flush()

    def position(self) -> Position:
        os.fsync(self._file.fileno())
        return [self._file.tell()]

    def close(self) -> None:
        self._file.close()


TRAJECTORIES: dict[str, type[TrajectoryFile]] = {
    "traj": AseTrajectory,
    "h5md": H5MDTrajectory,
    "extxyz": ExtxyzTrajectory,
}
