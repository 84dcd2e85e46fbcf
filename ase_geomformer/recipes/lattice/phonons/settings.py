"""Settings of a phonon calculation."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from ase_geomformer.recipes.lattice.settings import LatticeSettings
from ase_geomformer.settings.checks import check_settings, require
from ase_geomformer.settings.plain import take_groups
from ase_geomformer.settings.ranges import MOST_ROWS, ranged
from ase_geomformer.settings.shown import Shown

ForceConstantSource = Literal["displacements", "hessian", "md"]


@dataclass(frozen=True)
class EffectiveSettings(Shown):
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

    temperature_K: float = ranged(300.0, 0, 1e5, "K", above=True)
    timestep_fs: float = ranged(2.0, 0, 100, "fs", above=True)
    equilibration_steps: int = ranged(1000, 0, 10**9)
    frames: int = ranged(200, 1, 10**6)
    frame_interval: int = ranged(20, 1, 10**9)
    friction_per_fs: float = ranged(0.01, 0, 100, "1/fs", above=True)
    seed: int = ranged(0, 0, 2**63 - 1)

    def __post_init__(self) -> None:
        check_settings(self)


@dataclass(frozen=True)
class PhononSettings(LatticeSettings):
    """Settings of a phonon calculation.

    Attributes
    ----------
    supercell_length_A : float
        Smallest distance between opposite faces of the supercell (Å). Force constants reach up to
        twice as far as the potential's cutoff times its hops.
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
    band_points: int = ranged(51, 2, 10001)
    temperature_max_K: float = ranged(1000.0, 0, 1e5, "K", above=True)
    temperature_step_K: float = ranged(10.0, 0.001, 1e5, "K")
    md: EffectiveSettings = field(default_factory=EffectiveSettings)

    def __post_init__(self) -> None:
        take_groups(self, md=EffectiveSettings)
        super().__post_init__()
        check_settings(self)
        rows = self.temperature_max_K / self.temperature_step_K
        require(self, rows <= MOST_ROWS, "temperature_step_K", f"larger: it gives {rows:.3g} rows")

    @property
    def temperatures_K(self) -> np.ndarray:
        """Temperatures from zero to the highest."""
        count = int(self.temperature_max_K / self.temperature_step_K + 1e-9)
        return np.asarray(self.temperature_step_K * np.arange(count + 1))
