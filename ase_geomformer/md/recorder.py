"""The log of a run: one row of named numbers by sampled step, in memory and as CSV."""

from __future__ import annotations

import csv
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np

from ase_geomformer.machine.bounded import check_free_memory, check_regular
from ase_geomformer.md.simulation import Simulation

# Columns of the components of the pressure, in Voigt's order.
PRESSURES = tuple(f"pressure_{name}_GPa" for name in ("xx", "yy", "zz", "yz", "xz", "xy"))


class Log:
    """Rows of named numbers, in memory and, with a path, in a CSV file.

    Parameters
    ----------
    path : path, optional
        CSV file to write; every row is flushed, so that a killed run keeps its log.
    position : int, optional
        Continue the file after this many bytes, and drop what follows them.
    """

    def __init__(self, path: Path | None = None, position: int | None = None) -> None:
        self.rows: list[dict[str, float]] = []
        self._file: BinaryIO | None = None
        if path is None:
            return
        if position is None:
            self._file = path.open("wb")
            return
        self._file = path.open("r+b")
        self._file.truncate(position)
        self._file.seek(0, 2)
        self.rows = read_log(path)

    @property
    def position(self) -> int:
        """Length of the file in bytes, all of which are on the disk."""
        if self._file is None:
            return 0
        os.fsync(self._file.fileno())
        return self._file.tell()

    def is_there(self) -> bool:
        """Whether the file still lies where it was made."""
        if self._file is None:
            return True
        try:
            return os.path.samestat(os.fstat(self._file.fileno()), os.stat(self._file.name))
        except FileNotFoundError:
            return False

    def add(self, row: dict[str, float]) -> None:
        """Record a row."""
        if self._file:
            lines = [] if self.rows else [",".join(row)]
            lines.append(",".join(repr(value) for value in row.values()))
            self._file.write(("\n".join(lines) + "\n").encode())
            self._file.flush()
        self.rows.append(row)

    def columns(self) -> dict[str, np.ndarray]:
        """The log by column."""
        return columns(self.rows)

    def close(self) -> None:
        if self._file:
            self._file.close()


class Recorder(Log):
    """Samples a run.

    Parameters
    ----------
    simulation : Simulation
    path, position
        As of a :class:`Log`.
    """

    def __init__(
        self, simulation: Simulation, path: Path | None = None, position: int | None = None
    ) -> None:
        super().__init__(path, position)
        self.simulation = simulation
        self._clock, self._step, self._builds = time.perf_counter(), simulation.step, self._count()

    def __call__(self) -> None:
        """Record the present step."""
        self.add(self.sample())

    def sample(self) -> dict[str, float]:
        """Present time, energies, temperature and, with a barostat, pressure and volume.

        Speed and neighbour searches, since the last row, tell of the process and not of the
        physics: they are the only columns that a resumed run does not repeat.
        """
        simulation = self.simulation
        potential = float(simulation.atoms.get_potential_energy())
        kinetic = float(simulation.atoms.get_kinetic_energy())
        row = {
            "step": simulation.step,
            "time_fs": simulation.time_fs,
            "potential_energy_eV": potential,
            "kinetic_energy_eV": kinetic,
            "total_energy_eV": potential + kinetic,
            "temperature_K": simulation.temperature(),
        }
        if simulation.exchanges:
            row["target_temperature_K"] = simulation.target_temperature_K
        conserved = simulation.conserved_energy()
        if conserved is not None:
            row["conserved_energy_eV"] = conserved
        if simulation.ensemble.has_barostat:
            row["pressure_GPa"] = simulation.pressure_GPa()
            row["volume_A3"] = float(simulation.atoms.get_volume())
        if simulation.settings.log_stress:
            row |= dict(zip(PRESSURES, map(float, simulation.pressure_tensor_GPa()), strict=True))
        return row | self._progress()

    def _progress(self) -> dict[str, float]:
        now, step, builds = time.perf_counter(), self.simulation.step, self._count()
        row: dict[str, float] = {"steps_per_second": (step - self._step) / (now - self._clock)}
        if builds is not None and self._builds is not None:
            row["list_rebuilds"] = builds - self._builds
        self._clock, self._step, self._builds = now, step, builds
        return row

    def _count(self) -> int | None:
        """Neighbour searches done so far by a calculator that counts them."""
        neighbors = getattr(self.simulation.atoms.calc, "neighbors", None)
        return getattr(neighbors, "builds", None)


def columns(rows: Sequence[Mapping[str, float]]) -> dict[str, np.ndarray]:
    """Rows of a log by column."""
    return {name: np.array([row[name] for row in rows]) for name in (rows[0] if rows else {})}


def read_log(path: Path) -> list[dict[str, float]]:
    """The rows of a log, to the last bit.

    Raises
    ------
    ValueError
        If it is damaged, or larger than the memory.
    """
    try:
        check_free_memory(_MEMORY_PER_BYTE * check_regular(path))
        with path.open(encoding="utf-8", newline="") as file:
            return [
                {name: (int if name in _WHOLE else float)(text) for name, text in row.items()}
                for row in csv.DictReader(file)
            ]
    except (ValueError, TypeError, csv.Error) as error:  # a row too short or too long has None
        raise ValueError(f"{path} is damaged: {error}") from error


_WHOLE = ("step", "list_rebuilds")
# A row of 150 bytes takes 0.7 kB.
_MEMORY_PER_BYTE = 6
