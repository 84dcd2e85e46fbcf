"""Result of a molecular dynamics run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from ase import Atoms

from ase_geomformer.runs.result import DynamicsResult, Row


@dataclass(frozen=True)
class Statistic:
    """Mean and standard deviation of what was recorded."""

    mean: float
    std: float


# Columns of the log in the table: how they are called there, with their format and unit.
_ROWS = {
    "potential_energy_eV": ("potential energy", "{:.4f}", "eV"),
    "total_energy_eV": ("total energy", "{:.4f}", "eV"),
    "temperature_K": ("temperature", "{:.1f}", "K"),
    "pressure_GPa": ("pressure", "{:.3f}", "GPa"),
    "volume_A3": ("volume", "{:.1f}", "Å³"),
}


@dataclass(frozen=True, eq=False, kw_only=True)
class MDResult(DynamicsResult):
    """Result of a molecular dynamics run.

    Attributes
    ----------
    completed : bool
        Whether all steps were made.
    reason : str
        Why the run ended.
    steps : int
        Steps made.
    wall_time : float
        Seconds they took.
    timestep_fs : float
    degrees_of_freedom : int
        Number of motions that the temperature refers to.
    initial_velocities : str
        Whether they were "drawn" or came with the "structure".
    averages : dict of str to Statistic
        By column of the log, over the rows recorded after equilibration.
    drift_meV_per_atom_per_ps : float or None
        Slope of the conserved energy over the same rows; None without such a quantity or with
        fewer than three rows.
    log : dict of str to array
        All rows recorded, by column.
    atoms : ase.Atoms
        The last structure, with velocities.
    output : Path or None
        Folder of the files.
    error : Exception or None
        What ended the run early, with its traceback: a guard's RunStopped, or any other.
    """

    steps: int
    timestep_fs: float
    degrees_of_freedom: int
    initial_velocities: str
    averages: dict[str, Statistic]
    drift_meV_per_atom_per_ps: float | None
    log: dict[str, np.ndarray]
    atoms: Atoms
    error: Exception | None = None

    @property
    def steps_per_second(self) -> float:
        return self.steps / self.wall_time if self.wall_time > 0 else 0.0

    @property
    def ns_per_day(self) -> float:
        return self.steps_per_second * self.timestep_fs * 1e-6 * 86400.0

    def summary(self) -> dict[str, Any]:
        return {
            **super().summary(),
            "steps": self.steps,
            "time_fs": self.steps * self.timestep_fs,
            "steps_per_second": self.steps_per_second,
            "ns_per_day": self.ns_per_day,
            "number_of_atoms": len(self.atoms),
            "degrees_of_freedom": self.degrees_of_freedom,
            "initial_velocities": self.initial_velocities,
            "averages": self.averages,
            "drift_meV_per_atom_per_ps": self.drift_meV_per_atom_per_ps,
        }

    def rows(self) -> list[Row]:
        rows = []
        for name, (label, form, unit) in _ROWS.items():
            if name in self.averages:
                found = self.averages[name]
                value = f"{form.format(found.mean)} ± {form.format(found.std)}"
                rows.append((label, value, unit))
        if self.drift_meV_per_atom_per_ps is not None:
            drift = f"{self.drift_meV_per_atom_per_ps:+.3g}"
            rows.append(("drift of conserved energy", drift, "meV/atom/ps"))
        rows.append(("speed", f"{self.steps_per_second:.3g}", "steps/s"))
        rows.append(("", f"{self.ns_per_day:.3g}", "ns/day"))
        return rows


# Columns that say when a row was recorded and how fast, rather than what was found.
_NOT_AVERAGED = ("step", "time_fs", "steps_per_second", "list_rebuilds")


def averages(log: dict[str, np.ndarray], equilibration_steps: int) -> dict[str, Statistic]:
    """Mean and standard deviation of every recorded quantity after equilibration."""
    kept = log["step"] >= equilibration_steps if log else np.zeros(0, dtype=bool)
    if not kept.any():
        return {}
    return {
        name: Statistic(float(values[kept].mean()), float(values[kept].std()))
        for name, values in log.items()
        if name not in _NOT_AVERAGED
    }


def drift(log: dict[str, np.ndarray], equilibration_steps: int, num_atoms: int) -> float | None:
    """Slope of the conserved energy by least squares, meV/atom/ps."""
    if "conserved_energy_eV" not in log:
        return None
    kept = log["step"] >= equilibration_steps
    if kept.sum() < 3:
        return None
    time_ps = log["time_fs"][kept] / 1000.0
    energy = log["conserved_energy_eV"][kept]
    # Subtracting the mean keeps the digits of a small change in a large energy.
    slope = np.polyfit(time_ps - time_ps.mean(), energy - energy.mean(), 1)[0]
    return float(1000.0 * slope / num_atoms)
