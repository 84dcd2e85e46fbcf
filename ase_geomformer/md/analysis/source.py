"""The run that a trajectory is of, as far as it is known."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ase import units

from ase_geomformer.machine.bounded import read_json, read_yaml
from ase_geomformer.machine.files import expanded
from ase_geomformer.md.analysis.frames import Frames
from ase_geomformer.md.analysis.settings import AnalysisSettings
from ase_geomformer.runs.folder import RESULT_FILE, SETTINGS_FILE
from ase_geomformer.runs.table import read_columns

LOG_FILE = "log.csv"
# Ensembles whose energies fluctuate as theory says, and which of them change the volume.
SAMPLED = {"nvt-langevin": False, "nvt-bussi": False, "nvt-nose-hoover": False, "npt-mtk": True}


@dataclass(frozen=True, eq=False)
class Source:
    """Settings, log and provenance of a run; empty for frames and single files.

    Attributes
    ----------
    name : str
    settings : mapping
        As ``settings.yaml`` has them.
    log : dict of str to array
        Columns of the log.
    provenance : mapping or None
        That of the run's result.
    """

    name: str
    settings: Mapping[str, Any]
    log: dict[str, np.ndarray]
    provenance: Any

    @classmethod
    def of(cls, source: Any) -> Source:
        """Read from a run's folder, if the source is one."""
        folder = expanded(source) if isinstance(source, str | os.PathLike) else None
        name = "frames in memory" if folder is None else str(Path(source))
        if folder is None or not folder.is_dir():
            return cls(name, {}, {}, None)
        settings = read_yaml(folder / SETTINGS_FILE) if (folder / SETTINGS_FILE).exists() else {}
        result = read_json(folder / RESULT_FILE) if (folder / RESULT_FILE).exists() else {}
        log = read_columns(folder / LOG_FILE) if (folder / LOG_FILE).exists() else {}
        made = result.get("provenance") if isinstance(result, dict) else None
        return cls(name, settings if isinstance(settings, Mapping) else {}, log, made)

    def number(self, name: str) -> float | None:
        """A setting, if it is a number."""
        value = self.settings.get(name)
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        return float(value) if is_number and value is not None else None

    @property
    def ensemble(self) -> str:
        """Name of the ensemble; empty where it is not known."""
        return str(self.settings.get("ensemble", ""))

    @property
    def is_sampled(self) -> bool:
        """Whether energies fluctuate as theory says, at one temperature."""
        return self.ensemble in SAMPLED and self.settings.get("temperature_end_K") is None

    @property
    def pressure_GPa(self) -> float | None:
        """Pressure of the barostat; None at constant volume."""
        return self.number("pressure_GPa") if SAMPLED.get(self.ensemble) else None

    def start_fs(self, settings: AnalysisSettings) -> float:
        """Time before which everything is left out."""
        if settings.start_ps is not None:
            return 1000.0 * settings.start_ps
        return (self.number("equilibration_steps") or 0.0) * (self.number("timestep_fs") or 0.0)

    def frames(self, frames: Frames, settings: AnalysisSettings) -> Frames:
        """Those that are not left out.

        Raises
        ------
        ValueError
            If all are.
        """
        first = int(np.ceil(self.start_fs(settings) / frames.interval_fs - 1e-6))
        if len(frames) - first < 1:
            raise ValueError(
                f"all {len(frames)} frames, {frames.interval_fs:g} fs apart, are before start_ps"
            )
        return frames[first:]

    def rows(self, settings: AnalysisSettings) -> dict[str, np.ndarray]:
        """The log, likewise."""
        if "time_fs" not in self.log:
            return {}
        kept = self.log["time_fs"] >= self.start_fs(settings) - 1e-6
        return {name: column[kept] for name, column in self.log.items()}

    def temperature_K(self, frames: Frames, settings: AnalysisSettings) -> float:
        """As given, that of the thermostat, or the mean of the frames."""
        if settings.temperature_K is not None:
            return settings.temperature_K
        thermostat = self.number("temperature_K")
        if thermostat and self.is_sampled:
            return thermostat
        squares = np.einsum("n,tnc->", frames.masses, (frames.velocities / units.fs) ** 2)
        freedom = max(3 * len(frames.numbers) - 3, 1)
        return float(squares / len(frames) / freedom / units.kB)
