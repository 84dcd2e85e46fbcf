"""Frames with a large spread of a committee, saved for labelling."""

from __future__ import annotations

import io
import os
from pathlib import Path

from ase import Atoms

from ase_geomformer.md.simulation import Simulation

HARVEST_FILE = "harvest.extxyz"


class Harvest:
    """The file of frames to label, under way.

    Frames have no energy or forces, which could be taken for labels, but the spread that chose
    them: ``energy_spread_eV``, ``max_forces_spread_eV_per_A``, ``temperature_K``, ``step`` and
    ``time_fs`` in ``info``, and ``forces_spread_eV_per_A`` by atom.

    Parameters
    ----------
    path : path
    simulation : Simulation
    position : list of int, optional
        Continue from where the file was when :meth:`position` was asked: its length, the frames
        in it and the step of the last.
    """

    def __init__(
        self, path: Path, simulation: Simulation, position: list[int] | None = None
    ) -> None:
        self.path, self.simulation = path, simulation
        self._size, self.frames, self._last = position or [0, 0, -1]
        # Frames may have been taken away for labelling; what follows is kept for the next time.
        self._size = min(self._size, path.stat().st_size if path.exists() else 0)
        if path.exists():
            os.truncate(path, self._size)

    def __call__(self) -> None:
        """Keep the present frame if the committee is unsure of it."""
        settings, step = self.simulation.settings.harvest, self.simulation.step
        threshold = settings.min_forces_spread_eV_per_A
        if threshold is None or (self._last >= 0 and step - self._last < settings.min_steps):
            return
        if settings.max_frames is not None and self.frames >= settings.max_frames:
            return
        if self.simulation.atoms.calc.results["forces_spread"].max() <= threshold:
            return
        self._write(self._frame())
        self.frames, self._last = self.frames + 1, step

    def position(self) -> list[int]:
        """Where the file is."""
        return [self._size, self.frames, self._last]

    def _frame(self) -> Atoms:
        atoms, results = self.simulation.atoms, self.simulation.atoms.calc.results
        frame = Atoms(
            numbers=atoms.numbers, positions=atoms.positions, cell=atoms.cell, pbc=atoms.pbc
        )
        frame.info.update({key: atoms.info[key] for key in ("charge", "spin") if key in atoms.info})
        frame.info.update(
            step=self.simulation.step,
            time_fs=self.simulation.time_fs,
            temperature_K=self.simulation.temperature(),
            energy_spread_eV=results["energy_spread"],
            max_forces_spread_eV_per_A=float(results["forces_spread"].max()),
        )
        frame.set_array("forces_spread_eV_per_A", results["forces_spread"])
        return frame

    def _write(self, frame: Atoms) -> None:
        from ase.io import write

        text = io.StringIO()
        write(text, frame, format="extxyz")
        with self.path.open("ab") as file:
            self._size += file.write(text.getvalue().encode())
