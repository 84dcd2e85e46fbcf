"""Settings of a molecular dynamics run, the same in Python, on the command line and in YAML."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from ase_geomformer.md.guard_settings import GuardSettings
from ase_geomformer.md.harvest_settings import HarvestSettings
from ase_geomformer.settings.checks import check_settings, require
from ase_geomformer.settings.plain import take_groups
from ase_geomformer.settings.ranges import ranged
from ase_geomformer.settings.shown import Shown

EnsembleName = Literal[
    "nve", "nvt-langevin", "nvt-bussi", "nvt-nose-hoover", "npt-mtk", "npt-berendsen"
]
BarostatShape = Literal["isotropic", "full", "axes"]
TrajectoryFormat = Literal["traj", "h5md", "extxyz"]

_FIXED_AXES = ("", "a", "b", "c", "ab", "ac", "bc")


@dataclass(frozen=True)
class MDSettings(Shown):
    """Settings of a molecular dynamics run.

    Attributes
    ----------
    ensemble : str
        Statistical ensemble, with its thermostat or barostat.
    temperature_K : float
        Temperature of the thermostat, and of the initial velocities unless the structure already
        has velocities.
    temperature_end_K : float or None
        Final temperature of a linear ramp that starts at temperature_K; no ramp by default.
    pressure_GPa : float
        Target pressure of the barostat.
    timestep_fs : float
        Time step; 0.5 suits molecules with hydrogen, 1 to 2 heavier elements.
    steps : int
        Number of time steps.
    seed : int
        Random seed of the initial velocities and of the thermostat; the same seed gives the same
        run.
    friction_per_fs : float
        Friction coefficient of nvt-langevin, the inverse of the velocity relaxation time.
    thermostat_time_fs : float
        Time constant of the other thermostats.
    barostat_time_fs : float
        Time constant of the barostats.
    barostat : str
        What npt-mtk changes: the volume (isotropic), the full shape of the cell (full), or the
        lengths of those cell vectors that are orthogonal to the others (axes).
    fixed_axes : str
        Cell vectors, out of a, b and c, whose length is fixed with barostat axes: with "ab" only c
        changes.
    compressibility_per_GPa : float
        Estimated compressibility of the material for npt-berendsen (liquid water 0.46, silicon
        0.01); an error only rescales the time constant.
    equilibration_steps : int
        Number of initial steps to exclude from averages and drift; they are still recorded. The
        result suggests a number.
    log_interval : int
        Number of steps between lines of the log.
    log_stress : bool
        Log the six components of the pressure (GPa), of which analyze makes the viscosity.
    trajectory_interval : int
        Number of steps between frames of the trajectory.
    trajectory_format : str
        traj (exact, with all results), h5md (compressed HDF5 in single precision, readable by
        MDAnalysis) or extxyz (text, 8 decimals).
    checkpoint_interval : int
        Number of steps between restart files (restart.npz); a run that is killed loses at most this
        many steps.
    guards : GuardSettings
        Limits at which the run stops.
    harvest : HarvestSettings
        Frames to save for labelling.

    Raises
    ------
    ValueError
        If a value is out of range.
    """

    ensemble: EnsembleName = "nvt-langevin"
    temperature_K: float = ranged(300.0, 0, 1e6, "K")
    temperature_end_K: float | None = ranged(None, 0, 1e6, "K", above=True)
    pressure_GPa: float = ranged(0.0, -1000.0, 1e5, "GPa")
    timestep_fs: float = ranged(0.5, 0, 100, "fs", above=True)
    steps: int = ranged(1000, 1, 10**12)
    seed: int = ranged(0, 0, 2**63 - 1)
    friction_per_fs: float = ranged(0.01, 0, 100, "1/fs", above=True)
    thermostat_time_fs: float = ranged(100.0, 0.001, 1e9, "fs")
    barostat_time_fs: float = ranged(1000.0, 0.001, 1e9, "fs")
    barostat: BarostatShape = "isotropic"
    fixed_axes: str = ""
    compressibility_per_GPa: float = ranged(0.05, 0, 1000.0, "1/GPa", above=True)
    equilibration_steps: int = ranged(0, 0, 10**12)
    log_interval: int = ranged(10, 1, 10**12)
    log_stress: bool = False
    trajectory_interval: int = ranged(10, 1, 10**12)
    trajectory_format: TrajectoryFormat = "traj"
    checkpoint_interval: int = ranged(1000, 1, 10**12)
    guards: GuardSettings = field(default_factory=GuardSettings)
    harvest: HarvestSettings = field(default_factory=HarvestSettings)

    def __post_init__(self) -> None:
        take_groups(self, guards=GuardSettings, harvest=HarvestSettings)
        check_settings(self)
        if self.ensemble != "nve":
            require(self, self.temperature_K > 0, "temperature_K", "positive for a thermostat")
        elif self.temperature_end_K is not None:
            require(self, False, "temperature_end_K", "left out, because nve has no thermostat")
        known = self.fixed_axes in _FIXED_AXES
        require(self, known, "fixed_axes", "one or two of a, b, c, in order")
        if self.fixed_axes:
            require(self, self.barostat == "axes", "fixed_axes", "left out unless barostat is axes")
        last_logged = self.steps - self.steps % self.log_interval
        require(
            self,
            self.equilibration_steps <= last_logged,
            "equilibration_steps",
            f"at most {last_logged}, the last logged step, so that something is left to average",
        )

    def target_temperature_K(self, step: int) -> float:
        """Temperature of the thermostat after a number of steps."""
        if self.temperature_end_K is None:
            return self.temperature_K
        return self.temperature_K + (self.temperature_end_K - self.temperature_K) * (
            step / self.steps
        )
