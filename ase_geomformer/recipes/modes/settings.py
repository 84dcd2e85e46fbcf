"""Settings of vibrations and thermochemistry."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ase_geomformer.hessian import STEP
from ase_geomformer.recipes.modes.derivatives import HessianMethod
from ase_geomformer.recipes.modes.normal_modes import WholeMotions
from ase_geomformer.recipes.modes.thermochemistry import ThermochemistryModel
from ase_geomformer.settings.checks import check_settings, require
from ase_geomformer.settings.ranges import MOST_ROWS, ranged
from ase_geomformer.settings.shown import Shown


@dataclass(frozen=True)
class HessianSettings(Shown):
    """Settings of the Hessian of the energy, from which vibrations follow.

    Attributes
    ----------
    hessian : str
        exact (automatic differentiation; potentials of this package), finite-difference (any
        calculator) or auto: exact where possible.
    step_A : float
        Displacement of the finite differences (Å).
    """

    hessian: HessianMethod = "auto"
    step_A: float = ranged(STEP, 1e-5, 0.5, "Å")

    def __post_init__(self) -> None:
        check_settings(self)


@dataclass(frozen=True)
class VibrationsSettings(HessianSettings):
    """Settings of vibrations and thermochemistry.

    Attributes
    ----------
    relax : bool
        Relax the atoms first, in a fixed cell.
    fmax : float
        Force convergence threshold (eV/Å); a structure with a larger force is refused.
    relax_steps : int
        Maximum number of steps of the relaxation.
    whole_motions : str
        Rigid-body motions to project out: all (translations and rotations), translations, none,
        or auto: all of a molecule, translations of a periodic structure, none under constraints.
    expected_imaginary : int
        Expected number of imaginary modes: 0 for a minimum, 1 for a transition state.
    thermochemistry : str
        ideal-gas, harmonic (vibrations only, for adsorbates and crystals), none, or auto:
        ideal-gas for a molecule, otherwise harmonic.
    temperature_K : float
        Temperature of the thermochemistry (K).
    table_start_K : float
        First temperature of the table (K).
    table_end_K : float
        Last temperature of the table (K).
    table_step_K : float
        Temperature step of the table (K).
    pressure_bar : float
        Pressure of the ideal gas (bar).
    symmetry_number : int or None
        Rotational symmetry number; determined from the structure when left out.
    mode_frames : int
        Number of frames in the animation of each mode; 0 writes none.

    Raises
    ------
    ValueError
        If a value is out of range.

    See Also
    --------
    HessianSettings : all other settings.
    """

    relax: bool = False
    fmax: float = ranged(1e-3, 0, 1e9, "eV/Å", above=True)
    relax_steps: int = ranged(500, 0, 10**9)
    whole_motions: WholeMotions = "auto"
    expected_imaginary: int = ranged(0, 0, 1000)
    thermochemistry: ThermochemistryModel = "auto"
    temperature_K: float = ranged(298.15, 0, 1e5, "K", above=True)
    table_start_K: float = ranged(100.0, 0, 1e5, "K", above=True)
    table_end_K: float = ranged(1000.0, 0, 1e5, "K", above=True)
    table_step_K: float = ranged(100.0, 0.001, 1e5, "K")
    pressure_bar: float = ranged(1.0, 1e-12, 1e7, "bar")
    symmetry_number: int | None = ranged(None, 1, 120)
    mode_frames: int = ranged(16, 0, 1000)

    def __post_init__(self) -> None:
        super().__post_init__()
        require(
            self, self.table_end_K >= self.table_start_K, "table_end_K", "at least table_start_K"
        )
        rows = (self.table_end_K - self.table_start_K) / self.table_step_K
        require(self, rows <= MOST_ROWS, "table_step_K", f"larger: it gives {rows:.3g} rows")

    def temperatures_K(self) -> np.ndarray:
        """All temperatures, in ascending order."""
        rows = int((self.table_end_K - self.table_start_K) / self.table_step_K + 1e-9) + 1
        table = self.table_start_K + self.table_step_K * np.arange(rows)
        return np.union1d(table, [self.temperature_K])
