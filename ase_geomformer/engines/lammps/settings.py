"""Settings of a run of LAMMPS, the same in Python, on the command line and in YAML."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ase_geomformer.settings.checks import check_settings, require
from ase_geomformer.settings.ranges import ranged
from ase_geomformer.settings.shown import Shown


@dataclass(frozen=True)
class LammpsSettings(Shown):
    """Settings of a run of LAMMPS.

    Attributes
    ----------
    processes : int
        Number of MPI processes that share the structure.
    ensemble : str
        nve, or nvt and npt with the Nosé-Hoover chains of LAMMPS.
    temperature_K : float
        Temperature of the thermostat, and of the initial velocities unless the structure already
        has velocities.
    temperature_end_K : float or None
        Final temperature of a linear ramp that starts at temperature_K; no ramp by default.
    pressure_GPa : float
        Target pressure of npt.
    barostat : str
        What npt changes: the volume (isotropic), the three lengths of a box (axes), or all lengths
        and angles (full).
    timestep_fs : float
        Time step; 0.5 suits molecules with hydrogen, 1 to 2 heavier elements.
    steps : int
        Number of time steps.
    seed : int
        Random seed of the initial velocities.
    thermostat_time_fs, barostat_time_fs : float
        Time constants of thermostat and barostat.
    equilibration_steps : int
        Number of initial steps to exclude from averages and drift; they are still recorded.
    log_interval : int
        Number of steps between lines of the log.
    trajectory_interval : int
        Number of steps between frames of the trajectory.
    checkpoint_interval : int
        Number of steps between restart files of LAMMPS (restart.1 and restart.2, in turns).
    mode : str
        How processes work together: exchange sends features of the atoms at their boundaries, deep
        computes them anew in each of them.
    """

    processes: int = ranged(1, 1, 10**6)
    ensemble: Literal["nve", "nvt", "npt"] = "nvt"
    temperature_K: float = ranged(300.0, 0, 1e6, "K", above=True)
    temperature_end_K: float | None = ranged(None, 0, 1e6, "K", above=True)
    pressure_GPa: float = ranged(0.0, -1000.0, 1e5, "GPa")
    barostat: Literal["isotropic", "axes", "full"] = "isotropic"
    timestep_fs: float = ranged(0.5, 0, 100, "fs", above=True)
    steps: int = ranged(1000, 1, 10**12)
    seed: int = ranged(1, 1, 2**31 - 1)
    thermostat_time_fs: float = ranged(100.0, 0.001, 1e9, "fs")
    barostat_time_fs: float = ranged(1000.0, 0.001, 1e9, "fs")
    equilibration_steps: int = ranged(0, 0, 10**12)
    log_interval: int = ranged(10, 1, 10**12)
    trajectory_interval: int = ranged(10, 1, 10**12)
    checkpoint_interval: int = ranged(1000, 1, 10**12)
    mode: Literal["exchange", "deep"] = "exchange"

    def __post_init__(self) -> None:
        check_settings(self)
        if self.temperature_end_K is not None:
            require(
                self, self.ensemble != "nve", "temperature_end_K", "left out, as nve has no ramp"
            )
        last = self.steps - self.steps % self.log_interval
        require(
            self,
            self.equilibration_steps <= last,
            "equilibration_steps",
            f"at most {last}, the last logged step, so that something is left to average",
        )
