"""What a molecular dynamics run is asked to do: one class for Python, command line and YAML."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Literal, get_args

EnsembleName = Literal[
    "nve", "nvt-langevin", "nvt-bussi", "nvt-nose-hoover", "npt-mtk", "npt-berendsen"
]
BarostatShape = Literal["isotropic", "full"]

_CHOICES = {"ensemble": get_args(EnsembleName), "barostat": get_args(BarostatShape)}
_POSITIVE = (
    "timestep_fs",
    "steps",
    "friction_per_fs",
    "thermostat_time_fs",
    "barostat_time_fs",
    "compressibility_per_GPa",
    "log_interval",
    "trajectory_interval",
)
_NOT_NEGATIVE = ("temperature_K", "seed", "equilibration_steps")


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
        Change of the cell under npt-mtk: its volume only, or its full shape.
    compressibility_per_GPa : float
        Rough compressibility of the material for npt-berendsen (liquid water 0.46, silicon
        0.01); an error of it only rescales the relaxation time.
    equilibration_steps : int
        Steps at the start that are recorded but left out of averages and drift.
    log_interval : int
        Steps between lines of the log.
    trajectory_interval : int
        Steps between frames of the trajectory.

    Raises
    ------
    ValueError
        If a value is out of range.
    """

    ensemble: EnsembleName = "nvt-langevin"
    temperature_K: float = 300.0
    pressure_GPa: float = 0.0
    timestep_fs: float = 0.5
    steps: int = 1000
    seed: int = 0
    friction_per_fs: float = 0.01
    thermostat_time_fs: float = 100.0
    barostat_time_fs: float = 1000.0
    barostat: BarostatShape = "isotropic"
    compressibility_per_GPa: float = 0.05
    equilibration_steps: int = 0
    log_interval: int = 10
    trajectory_interval: int = 10

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name in _CHOICES:
                self._require(value in _CHOICES[field.name], field.name, _CHOICES[field.name])
                continue
            self._require(math.isfinite(value), field.name, "a finite number")
            if field.type == "int":
                self._require(value == int(value), field.name, "a whole number")
            if field.name in _POSITIVE:
                self._require(value > 0, field.name, "positive")
            if field.name in _NOT_NEGATIVE:
                self._require(value >= 0, field.name, "zero or positive")
        if self.ensemble != "nve":
            self._require(self.temperature_K > 0, "temperature_K", "positive for a thermostat")
        last_logged = self.steps - self.steps % self.log_interval
        self._require(
            self.equilibration_steps <= last_logged,
            "equilibration_steps",
            f"at most {last_logged}, the last step in the log, or nothing is left to average",
        )

    def _require(self, met: bool, name: str, what: object) -> None:
        if not met:
            wanted = f"one of {', '.join(what)}" if isinstance(what, tuple) else what
            raise ValueError(f"{name} = {getattr(self, name)!r} must be {wanted}")
