"""Result of a molecular dynamics run."""

from __future__ import annotations

from dataclasses import astuple, dataclass
from typing import Any

import numpy as np
from ase import Atoms

from ase_geomformer.md.blocks import block_average
from ase_geomformer.runs.result import DynamicsResult, Entry, Row


@dataclass(frozen=True)
class Statistic:
    """Mean of what was recorded, how much that fluctuates, and how sure the mean is.

    Attributes
    ----------
    mean : float
    std : float
        Standard deviation of the rows.
    error : float
        Standard error of the mean, from averages over blocks, see
        :func:`~ase_geomformer.md.analysis.block_average`; NaN with fewer than two rows.
    """

    mean: float
    std: float
    error: float = float("nan")


# Fewer rows do not tell when a run is equilibrated.
_ENOUGH_ROWS = 100
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
    equilibration_steps : int
        Those before are in no average.
    suggested_equilibration_steps : int or None
        What leaves the averages most independent rows, see :func:`suggested_equilibration`.
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
    equilibration_steps: int = 0
    suggested_equilibration_steps: int | None = None
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
            "equilibration_steps": self.equilibration_steps,
            "suggested_equilibration_steps": self.suggested_equilibration_steps,
            "averages": self.averages,
            "drift_meV_per_atom_per_ps": self.drift_meV_per_atom_per_ps,
        }

    def entries(self) -> list[Entry]:
        """The last structure, and averages as numbers of their own, such as mean_temperature_K."""
        means = {f"mean_{name}": one.mean for name, one in self.averages.items()}
        return [Entry("", self.atoms, {**self.summary(), **means})]

    def rows(self) -> list[Row]:
        rows = self._averaged()
        for name, (label, form, unit) in _ROWS.items():
            if name in self.averages:
                mean, std, error = map(form.format, astuple(self.averages[name]))
                rows.append((label, f"{mean} ± {error}, std {std}", unit))
        if self.drift_meV_per_atom_per_ps is not None:
            drift = f"{self.drift_meV_per_atom_per_ps:+.3g}"
            rows.append(("drift of conserved energy", drift, "meV/atom/ps"))
        rows.append(("speed", f"{self.steps_per_second:.3g}", "steps/s"))
        rows.append(("", f"{self.ns_per_day:.3g}", "ns/day"))
        return rows

    def _averaged(self) -> list[Row]:
        """What the averages are over, and what would suit them better."""
        if not self.averages:
            return []
        first, last = (1e-3 * self.timestep_fs * n for n in (self.equilibration_steps, self.steps))
        rows = [("mean ± standard error", f"from {first:g} to {last:g}", "ps")]
        better = self.suggested_equilibration_steps
        if better is not None and better > self.equilibration_steps:
            rows.append(("suggested equilibration_steps", str(better), ""))
        return rows


# Columns that say when a row was recorded and how fast, rather than what was found.
_NOT_AVERAGED = ("step", "time_fs", "steps_per_second", "list_rebuilds")


def averages(log: dict[str, np.ndarray], equilibration_steps: int) -> dict[str, Statistic]:
    """Mean, fluctuation and error of every recorded quantity after equilibration."""
    kept = log["step"] >= equilibration_steps if log else np.zeros(0, dtype=bool)
    if not kept.any():
        return {}
    return {
        name: Statistic(float(values[kept].mean()), float(values[kept].std()), _error(values[kept]))
        for name, values in log.items()
        if name not in _NOT_AVERAGED
    }


def suggested_equilibration(log: dict[str, np.ndarray]) -> int | None:
    """Number of initial steps to leave out, so that most independent rows remain.

    Of the first half of the run, in steps of a twentieth, the point is taken after which the rows
    of the potential energy, divided by their correlation, are most (Chodera, J. Chem. Theory
    Comput. 12, 1799 (2016)). None with fewer than 100 rows.
    """
    energy = log.get("potential_energy_eV", np.zeros(0))
    if len(energy) < _ENOUGH_ROWS or not np.isfinite(energy).all():
        return None
    starts = np.arange(0, len(energy) // 2, len(energy) // 20)
    independent = [len(energy[s:]) / block_average(energy[s:]).correlation for s in starts]
    return int(log["step"][starts[int(np.argmax(independent))]])


def _error(values: np.ndarray) -> float:
    known = len(values) > 1 and bool(np.isfinite(values).all())
    return block_average(values).error if known else float("nan")


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
