"""Result of vibrations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from ase import Atoms, units

from ase_geomformer.recipes.modes.normal_modes import NormalModes
from ase_geomformer.recipes.modes.thermochemistry import ThermochemistryRow
from ase_geomformer.runs.result import Listing, RecipeResult, Row

# Modes of larger structures are in the files.
MOST_LISTED = 200


@dataclass(frozen=True, eq=False)
class Infrared:
    """How modes absorb infrared light, in the double harmonic approximation.

    Attributes
    ----------
    dipole_eA : array, shape (3,)
        At rest; it depends on the origin where the total charge is not zero.
    polar_tensors_e : array, shape (N, 3, 3)
        Derivatives of the dipole with respect to positions, ``[i, a, b]`` of component a with
        respect to coordinate b of atom i; zero for atoms that constraints hold.
    intensities_km_per_mol : array, shape (M,)
        Integrated absorption of each mode.
    """

    dipole_eA: np.ndarray
    polar_tensors_e: np.ndarray
    intensities_km_per_mol: np.ndarray


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
    infrared : Infrared or None
        None where the potential gives no dipole, and for periodic structures.
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
    infrared: Infrared | None = None

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
            **self._absorption(),
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
        if self.infrared is not None:
            debye = float(np.linalg.norm(self.infrared.dipole_eA)) / units.Debye
            rows.append(("dipole", f"{debye:.4f}", "debye"))
        if self.thermochemistry:
            row = self.at(self.temperature_K)
            at = f"at {row.temperature_K:g} K"
            rows.append((f"entropy {at}", f"{1000.0 * row.entropy_eV_per_K:.4f}", "meV/K"))
            rows.append((f"free energy {at}", f"{row.free_energy_eV:.4f}", "eV"))
        return rows

    def _absorption(self) -> dict[str, Any]:
        if self.infrared is None:
            return {}
        return {
            "ir_intensities_km_per_mol": self.infrared.intensities_km_per_mol,
            "dipole_eA": self.infrared.dipole_eA,
        }

    def listing(self) -> Listing:
        """All modes: frequency, reduced mass and, where it is known, infrared intensity."""
        modes, infrared = self.modes, self.infrared
        headings = ["mode", "cm^-1", "meV", "reduced mass (amu)"]
        columns = [
            [str(number + 1) for number in range(len(modes.frequencies_per_cm))],
            [f"{value:.1f}" for value in modes.frequencies_per_cm],
            [f"{1000.0 * value:.2f}" for value in modes.energies_eV],
            [f"{value:.3f}" for value in modes.reduced_masses_amu],
        ]
        if infrared is not None:
            headings.append("IR (km/mol)")
            columns.append([f"{value:.2f}" for value in infrared.intensities_km_per_mol])
        rows = list(zip(*columns, strict=True))
        left_out = len(rows) - MOST_LISTED
        note = f"and {left_out} more in vibrations.npz" if left_out > 0 else ""
        return Listing(tuple(headings), tuple(rows[:MOST_LISTED]), note)
