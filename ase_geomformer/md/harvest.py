"""Frames that a committee or a single potential is unsure of, saved for labelling."""

from __future__ import annotations

import io
import os
from pathlib import Path

import numpy as np
from ase import Atoms

from ase_geomformer.md.simulation import Simulation

# What frames are chosen by, and its name in the file.
_KEYS = {"forces_spread": "forces_spread_eV_per_A", "extrapolation": "extrapolation"}
HARVEST_FILE = "harvest.extxyz"


class Harvest:
    """The file of frames to label, under way.

    Frames have no energy or forces, which could be taken for labels, but the spread that chose
    them: ``energy_spread_eV``, ``max_forces_spread_eV_per_A``, ``temperature_K``, ``step`` and
    ``time_fs`` in ``info``, and ``forces_spread_eV_per_A`` by atom. Those of a single potential
    have ``extrapolation`` by atom, and ``max_extrapolation``, instead of the spread.

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
        """Keep the present frame if the committee, or the potential, is unsure of it."""
        settings, step = self.simulation.settings.harvest, self.simulation.step
        limits = (settings.min_forces_spread_eV_per_A, settings.min_extrapolation)
        if limits == (None, None) or (self._last >= 0 and step - self._last < settings.min_steps):
            return
        if settings.max_frames is not None and self.frames >= settings.max_frames:
            return
        measured = {
            name: self._measured(name)
            for name, limit in zip(_KEYS, limits, strict=True)
            if limit is not None
        }
        above = zip(_KEYS, limits, strict=True)
        if not any(name in measured and measured[name].max() > limit for name, limit in above):
            return
        self._write(self._frame(measured))
        self.frames, self._last = self.frames + 1, step

    def position(self) -> list[int]:
        """Where the file is."""
        return [self._size, self.frames, self._last]

    def _measured(self, name: str) -> np.ndarray:
        """How unsure the forces on each atom are, or how unlike the training data it is."""
        atoms = self.simulation.atoms
        found = atoms.calc.results.get(name)
        return np.asarray(atoms.calc.get_property(name, atoms) if found is None else found)

    def _frame(self, measured: dict[str, np.ndarray]) -> Atoms:
        atoms, results = self.simulation.atoms, self.simulation.atoms.calc.results
        frame = Atoms(
            numbers=atoms.numbers, positions=atoms.positions, cell=atoms.cell, pbc=atoms.pbc
        )
        frame.info.update({key: atoms.info[key] for key in ("charge", "spin") if key in atoms.info})
        frame.info.update(
            step=self.simulation.step,
            time_fs=self.simulation.time_fs,
            temperature_K=self.simulation.temperature(),
        )
        if "energy_spread" in results:
            frame.info["energy_spread_eV"] = results["energy_spread"]
        for name, values in measured.items():
            frame.info[f"max_{_KEYS[name]}"] = float(values.max())
            frame.set_array(_KEYS[name], values)
        return frame

    def _write(self, frame: Atoms) -> None:
        from ase.io import write

        text = io.StringIO()
        write(text, frame, format="extxyz")
        with self.path.open("ab") as file:
            self._size += file.write(text.getvalue().encode())
