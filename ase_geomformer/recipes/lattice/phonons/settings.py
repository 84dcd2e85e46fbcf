"""Settings of a phonon calculation."""

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
    """Molecular dynamics that effective force constants are fitted to.

    Attributes
    ----------
    temperature_K : float
        Temperature of the dynamics (K).
    timestep_fs : float
        Time step (fs).
    equilibration_steps : int
        Number of steps before the first frame.
    frames : int
        Number of frames that are fitted to.
    frame_interval : int
        Number of steps between frames.
    friction_per_fs : float
        Friction of the Langevin thermostat (1/fs).
    seed : int
        Random seed of velocities and thermostat.
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
        Smallest distance between opposite faces of the supercell (Å). Force constants reach as
        far as the potential's cutoff times its number of layers.
    imaginary_tolerance_THz : float
        A mode counts as imaginary below minus this frequency (THz); modes below this frequency
        are left out of thermodynamic sums.
    force_constants : str
        Source of the force constants: displacements (finite displacements), hessian (exact second
        derivatives; potentials of this package) or md (fitted to molecular dynamics).
    band_points : int
        Number of q points on the longest segment of the band structure.
    temperature_max_K : float
        Highest temperature of the thermodynamic properties (K).
    temperature_step_K : float
        Temperature step (K).
    md : EffectiveSettings
        Molecular dynamics for force_constants = md.

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
