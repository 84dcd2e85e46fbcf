"""Result of vibrations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from ase import Atoms

from ase_geomformer.recipes.modes.normal_modes import NormalModes
from ase_geomformer.recipes.modes.thermochemistry import ThermochemistryRow
from ase_geomformer.runs.result import RecipeResult, Row


@dataclass(frozen=True, eq=False, kw_only=True)
class VibrationsResult(RecipeResult):
    """Vibrations in the harmonic approximation.

    ``converged`` says that there are as many imaginary modes as expected.

    Attributes
    ----------
    atoms : ase.Atoms
        The structure, relaxed if that was asked for.
    energy_eV : float
    fmax_eV_per_A : float
        Largest force on an atom, along the directions that constraints leave free.
    method : str
        How the Hessian was made, ``exact`` or ``finite-difference``.
    hessian : array, shape (M, M)
        Along the free directions, eV/Å^2: x, y, z of each atom that no constraint holds.
    modes : NormalModes
    symmetry_number : int or None
        That of an ideal gas.
    thermochemistry : list of ThermochemistryRow
        By temperature; empty where there is none.
    relax_steps : int
        Steps made to relax the structure.
    temperature_K : float
        Temperature of the thermochemistry in the table at the end.
    """

    atoms: Atoms
    energy_eV: float
    fmax_eV_per_A: float
    method: str
    hessian: np.ndarray
    modes: NormalModes
    symmetry_number: int | None
    thermochemistry: list[ThermochemistryRow]
    relax_steps: int = 0
    temperature_K: float = 298.15

    @property
    def frequencies_per_cm(self) -> np.ndarray:
        """Frequencies in ascending order; an imaginary one is given as a negative number."""
        return self.modes.frequencies_per_cm

    @property
    def zero_point_energy_eV(self) -> float:
        return self.modes.zero_point_energy_eV

    def at(self, temperature_K: float) -> ThermochemistryRow:
        """The thermochemistry at one of the temperatures."""
        for row in self.thermochemistry:
            if abs(row.temperature_K - temperature_K) < 1e-6:
                return row
        known = ", ".join(f"{row.temperature_K:g}" for row in self.thermochemistry)
        raise ValueError(
            f"no thermochemistry at {temperature_K} K; temperatures are {known or 'none'}"
        )

    def summary(self) -> dict[str, Any]:
        modes = self.modes
        return {
            **super().summary(),
            "formula": self.atoms.get_chemical_formula(),
            "energy_eV": self.energy_eV,
            "fmax_eV_per_A": self.fmax_eV_per_A,
            "relax_steps": self.relax_steps,
            "hessian": self.method,
            "frequencies_per_cm": modes.frequencies_per_cm,
            "frequencies_meV": 1000.0 * modes.energies_eV,
            "frequencies_THz": modes.frequencies_THz,
            "number_of_imaginary_modes": len(modes.imaginary),
            "whole_motions_per_cm": modes.whole_per_cm,
            "zero_point_energy_eV": modes.zero_point_energy_eV,
            "symmetry_number": self.symmetry_number,
            "thermochemistry": self.thermochemistry,
        }

    def rows(self) -> list[Row]:
        frequencies = self.modes.frequencies_per_cm
        rows = [
            ("energy", f"{self.energy_eV:.6f}", "eV"),
            ("largest force", f"{self.fmax_eV_per_A:.2e}", "eV/Å"),
            ("Hessian", self.method, ""),
            ("modes", str(len(frequencies)), ""),
            ("imaginary", str(len(self.modes.imaginary)), ""),
        ]
        if len(frequencies):
            rows.append(("frequencies", f"{frequencies[0]:.1f} to {frequencies[-1]:.1f}", "cm^-1"))
        rows.append(("zero-point energy", f"{self.zero_point_energy_eV:.4f}", "eV"))
        if self.thermochemistry:
            row = self.at(self.temperature_K)
            at = f"at {row.temperature_K:g} K"
            rows.append((f"entropy {at}", f"{1000.0 * row.entropy_eV_per_K:.4f}", "meV/K"))
            rows.append((f"free energy {at}", f"{row.free_energy_eV:.4f}", "eV"))
        return rows
