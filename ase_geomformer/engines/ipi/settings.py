"""Settings of path-integral runs, the same in Python, on the command line and in YAML."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ase_geomformer.settings.checks import check_settings, require
from ase_geomformer.settings.ranges import ranged
from ase_geomformer.settings.shown import Shown


@dataclass(frozen=True)
class PathIntegralSettings(Shown):
    """Settings of path-integral molecular dynamics at constant volume.

    Attributes
    ----------
    method : str
        pimd samples the quantum canonical ensemble, with the thermostat PILE-G. rpmd (ring-polymer
        molecular dynamics) does so during equilibration, and then follows the ring polymer without
        a thermostat, for time correlation functions.
    beads : int
        Number of replicas. Their number times temperature_K should be several times the highest
        frequency, in kelvin: 32 at 300 K for molecules with hydrogen. One bead is classical.
    temperature_K : float
    timestep_fs : float
        Time step; 0.25 to 0.5 suits molecules with hydrogen.
    steps : int
        Number of time steps.
    thermostat_time_fs : float
        Time constant of the thermostat of the centroids.
    seed : int
        Random seed of velocities and thermostat.
    heat_capacity : bool
        Estimate the heat capacity, for which each line of the log takes two more evaluations.
    equilibration_steps : int
        Number of initial steps to exclude from averages and drift; they are still recorded.
    log_interval : int
        Number of steps between lines of the log.
    trajectory_interval : int
        Number of steps between frames of the trajectory, which holds the centroids.
    all_beads : bool
        Write all replicas of these frames as well, into beads.traj.
    checkpoint_interval : int
        Number of steps between restart files.
    """

    method: Literal["pimd", "rpmd"] = "pimd"
    beads: int = ranged(32, 1, 4096)
    temperature_K: float = ranged(300.0, 0, 1e6, "K", above=True)
    timestep_fs: float = ranged(0.5, 0, 100, "fs", above=True)
    steps: int = ranged(1000, 1, 10**12)
    thermostat_time_fs: float = ranged(100.0, 0.001, 1e9, "fs")
    seed: int = ranged(1, 1, 2**31 - 1)
    heat_capacity: bool = False
    equilibration_steps: int = ranged(0, 0, 10**12)
    log_interval: int = ranged(10, 1, 10**12)
    trajectory_interval: int = ranged(100, 1, 10**12)
    all_beads: bool = False
    checkpoint_interval: int = ranged(1000, 1, 10**12)

    def __post_init__(self) -> None:
        check_settings(self)
        last = self.steps - self.steps % self.log_interval
        require(
            self,
            self.equilibration_steps <= last,
            "equilibration_steps",
            f"at most {last}, the last logged step, so that something is left to average",
        )
        require(
            self,
            self.method != "rpmd" or self.equilibration_steps > 0,
            "equilibration_steps",
            "at least 1 with rpmd, which begins with the replicas that a thermostat has spread",
        )
