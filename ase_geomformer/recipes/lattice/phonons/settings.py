"""What a phonon calculation is asked to do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from ase_geomformer.recipes.lattice.settings import LatticeSettings
from ase_geomformer.settings.checks import check_settings, require

ForceConstantSource = Literal["displacements", "hessian", "md"]


@dataclass(frozen=True)
class EffectiveSettings:
    """Dynamics that effective force constants are fitted to.

    Attributes
    ----------
    temperature_K : float
        Temperature of the dynamics.
    timestep_fs : float
        Time step.
    equilibration_steps : int
        Steps before the first frame.
    frames : int
        Frames to fit to.
    frame_interval : int
        Steps between frames.
    friction_per_fs : float
        Friction of the thermostat.
    seed : int
        Seed of velocities and thermostat.
    """

    temperature_K: float = 300.0
    timestep_fs: float = 2.0
    equilibration_steps: int = 1000
    frames: int = 200
    frame_interval: int = 20
    friction_per_fs: float = 0.01
    seed: int = 0

    def __post_init__(self) -> None:
        positive = ("temperature_K", "timestep_fs", "frames", "frame_interval", "friction_per_fs")
        check_settings(self, positive=positive, not_negative=("equilibration_steps", "seed"))


@dataclass(frozen=True)
class PhononSettings(LatticeSettings):
    """Settings of a phonon calculation.

    Attributes
    ----------
    supercell_length_A : float
        Smallest distance between opposite faces of the supercell. A potential's force constants
        reach as far as its cutoff times its number of layers.
    imaginary_tolerance_THz : float
        Modes are imaginary below minus this, and do not count in sums below it.
    force_constants : str
        From the forces on displaced atoms, from the exact second derivatives of the energy
        (potentials of this package), or fitted to frames of molecular dynamics.
    band_points : int
        Points on the longest segment of the band structure.
    temperature_max_K : float
        Highest temperature of thermodynamic properties.
    temperature_step_K : float
        Step between temperatures.
    md : EffectiveSettings
        Dynamics for force constants from md.

    See Also
    --------
    LatticeSettings : all other settings.
    """

    force_constants: ForceConstantSource = "displacements"
    band_points: int = 51
    temperature_max_K: float = 1000.0
    temperature_step_K: float = 10.0
    md: EffectiveSettings = field(default_factory=EffectiveSettings)

    def __post_init__(self) -> None:
        if isinstance(self.md, Mapping):  # as settings.yaml has them
            object.__setattr__(self, "md", EffectiveSettings(**self.md))
        super().__post_init__()
        check_settings(self, positive=("temperature_max_K", "temperature_step_K"))
        require(self, self.band_points > 1, "band_points", "at least 2")

    @property
    def temperatures_K(self) -> np.ndarray:
        """Temperatures from zero to the highest."""
        count = int(self.temperature_max_K / self.temperature_step_K + 1e-9)
        return np.asarray(self.temperature_step_K * np.arange(count + 1))
