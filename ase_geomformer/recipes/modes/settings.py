"""What a calculation of vibrations is asked to do."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ase_geomformer.hessian import STEP
from ase_geomformer.recipes.modes.normal_modes import HessianMethod, WholeMotions
from ase_geomformer.recipes.modes.thermochemistry import ThermochemistryModel
from ase_geomformer.settings.checks import check_settings, require


@dataclass(frozen=True)
class VibrationsSettings:
    """Settings of vibrations and thermochemistry.

    Attributes
    ----------
    hessian : str
        exact (by differentiating a potential's forces), finite-difference (any calculator), or
        auto: exact where that can be.
    step_A : float
        Displacement of the finite differences.
    relax : bool
        Relax the atoms first, the cell fixed.
    fmax : float
        Largest force in eV/Å of a structure that counts as relaxed; one that is not is refused.
    relax_steps : int
        Largest number of steps of the relaxation.
    whole_motions : str
        Motions of the structure as a whole to take out: all (translations and rotations),
        translations, none, or auto: all of a molecule, translations where there are periodic
        boundaries, none where atoms are fixed.
    expected_imaginary : int
        Number of imaginary modes there should be: 0 at a minimum, 1 at a transition state.
    thermochemistry : str
        ideal-gas, harmonic (an adsorbate: vibrations only), none, or auto: ideal-gas for a
        molecule, harmonic for all else.
    temperature_K : float
        Temperature of the thermochemistry.
    table_start_K : float
        First temperature of the table.
    table_end_K : float
        Last temperature of the table.
    table_step_K : float
        Distance between temperatures in the table.
    pressure_bar : float
        Pressure of the ideal gas.
    symmetry_number : int or None
        Rotational symmetry number; found from the structure when left out.
    mode_frames : int
        Frames of one period in the file of each mode; 0 for no such files.

    Raises
    ------
    ValueError
        If a value is out of range.
    """

    hessian: HessianMethod = "auto"
    step_A: float = STEP
    relax: bool = False
    fmax: float = 1e-3
    relax_steps: int = 500
    whole_motions: WholeMotions = "auto"
    expected_imaginary: int = 0
    thermochemistry: ThermochemistryModel = "auto"
    temperature_K: float = 298.15
    table_start_K: float = 100.0
    table_end_K: float = 1000.0
    table_step_K: float = 100.0
    pressure_bar: float = 1.0
    symmetry_number: int | None = None
    mode_frames: int = 16

    def __post_init__(self) -> None:
        check_settings(
            self,
            positive=(
                "step_A", "fmax", "temperature_K", "table_start_K", "table_step_K",
                "pressure_bar", "symmetry_number",
            ),
            not_negative=("relax_steps", "expected_imaginary", "mode_frames"),
        )  # fmt: skip
        require(
            self, self.table_end_K >= self.table_start_K, "table_end_K", "at least table_start_K"
        )

    def temperatures_K(self) -> np.ndarray:
        """All temperatures, in ascending order."""
        rows = int((self.table_end_K - self.table_start_K) / self.table_step_K + 1e-9) + 1
        table = self.table_start_K + self.table_step_K * np.arange(rows)
        return np.union1d(table, [self.temperature_K])
