"""What a molecular dynamics run is asked to do: one class for Python, command line and YAML."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from ase_geomformer.md.guard_settings import GuardSettings
from ase_geomformer.md.harvest_settings import HarvestSettings
from ase_geomformer.settings.checks import check_settings, require
from ase_geomformer.settings.plain import settings_from
from ase_geomformer.settings.ranges import ranged

EnsembleName = Literal[
    "nve", "nvt-langevin", "nvt-bussi", "nvt-nose-hoover", "npt-mtk", "npt-berendsen"
]
BarostatShape = Literal["isotropic", "full", "axes"]
TrajectoryFormat = Literal["traj", "h5md", "extxyz"]

_FIXED_AXES = ("", "a", "b", "c", "ab", "ac", "bc")


@dataclass(frozen=True)
class MDSettings:
    """Settings of a molecular dynamics run.

    Attributes
    ----------
    ensemble : str
        Constant energy, temperature or pressure, and what keeps it so.
    temperature_K : float
        Temperature of the thermostat, and of the initial velocities unless the structure has
        velocities already.
    temperature_end_K : float or None
        Let the thermostat's temperature go in a straight line from temperature_K to this one at
        the last step.
    pressure_GPa : float
        Pressure of the barostat.
    timestep_fs : float
        Time step; 0.5 suits molecules with hydrogen, 1 to 2 heavier elements.
    steps : int
        Number of time steps.
    seed : int
        Seed of the velocities and of the thermostat's noise; the same seed gives the same run.
    friction_per_fs : float
        Friction of nvt-langevin; its inverse is the time in which velocities are forgotten.
    thermostat_time_fs : float
        Relaxation time of the other thermostats.
    barostat_time_fs : float
        Relaxation time of the barostats.
    barostat : str
        Change of the cell under npt-mtk: its volume only (isotropic), its full shape (full), or
        the length of each cell vector that is normal to the others by itself (axes).
    fixed_axes : str
        Cell vectors, of a, b and c, that keep their length under barostat axes: "ab" leaves c.
    compressibility_per_GPa : float
        Rough compressibility of the material for npt-berendsen (liquid water 0.46, silicon
        0.01); an error of it only rescales the relaxation time.
    equilibration_steps : int
        Steps at the start that are recorded but left out of averages and drift.
    log_interval : int
        Steps between lines of the log.
    trajectory_interval : int
        Steps between frames of the trajectory.
    trajectory_format : str
        traj (exact, with all results), h5md (compressed HDF5 in single precision, as MDAnalysis
        reads it) or extxyz (text, 8 decimals).
    checkpoint_interval : int
        Steps between writings of restart.npz, from which a run resumes; a run that is killed
        loses no more than these.
    guards : GuardSettings
        Limits beyond which a run stops by itself.
    harvest : HarvestSettings
        Frames to keep for labelling.

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
    trajectory_interval: int = ranged(10, 1, 10**12)
    trajectory_format: TrajectoryFormat = "traj"
    checkpoint_interval: int = ranged(1000, 1, 10**12)
    guards: GuardSettings = field(default_factory=GuardSettings)
    harvest: HarvestSettings = field(default_factory=HarvestSettings)

    def __post_init__(self) -> None:
        for name, kind in (("guards", GuardSettings), ("harvest", HarvestSettings)):
            given = getattr(self, name)
            if isinstance(given, Mapping):  # as settings.yaml has them
                object.__setattr__(self, name, settings_from(name, kind, given))
            elif not isinstance(given, kind):
                require(self, False, name, f"a mapping of settings, or {kind.__name__}")
        check_settings(self)
        if self.ensemble != "nve":
            require(self, self.temperature_K > 0, "temperature_K", "positive for a thermostat")
        elif self.temperature_end_K is not None:
            require(self, False, "temperature_end_K", "left out: nve has no thermostat")
        known = self.fixed_axes in _FIXED_AXES
        require(self, known, "fixed_axes", "one or two of a, b, c, in order")
        if self.fixed_axes:
            require(self, self.barostat == "axes", "fixed_axes", "left out unless barostat is axes")
        last_logged = self.steps - self.steps % self.log_interval
        require(
            self,
            self.equilibration_steps <= last_logged,
            "equilibration_steps",
            f"at most {last_logged}, the last step in the log, or nothing is left to average",
        )

    def target_temperature_K(self, step: int) -> float:
        """Temperature of the thermostat after a number of steps."""
        if self.temperature_end_K is None:
            return self.temperature_K
        return self.temperature_K + (self.temperature_end_K - self.temperature_K) * (
            step / self.steps
        )
