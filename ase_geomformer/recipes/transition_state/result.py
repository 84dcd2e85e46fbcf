"""Result of a search for a transition state."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from ase import Atoms

from ase_geomformer.recipes.transition_state.refinement import Saddle
from ase_geomformer.runs.result import RecipeResult, Row


@dataclass(frozen=True, eq=False, kw_only=True)
class SaddleResult(RecipeResult):
    """A transition state, or how far the way to it came.

    ``converged`` says that the largest force is within the limit and that, where the modes were
    checked, exactly one is imaginary.

    Attributes
    ----------
    saddle : Saddle
        The last structure, with its energy and modes.
    method : str
        hessian, dimer or sella.
    positions : array, shape (steps + 1, N, 3)
        Of all steps, Å.
    energies : array, shape (steps + 1,)
        eV.
    fmax : array, shape (steps + 1,)
        Largest force on an atom, eV/Å.
    """

    saddle: Saddle
    method: str
    positions: np.ndarray
    energies: np.ndarray
    fmax: np.ndarray

    @property
    def atoms(self) -> Atoms:
        """The saddle point."""
        return self.saddle.atoms

    @property
    def steps(self) -> int:
        """Steps made."""
        return len(self.energies) - 1

    @property
    def energy_above_start_eV(self) -> float:
        """Of the saddle point; the barrier where the search started from a minimum."""
        return float(self.saddle.energy_eV - self.energies[0])

    @property
    def imaginary_per_cm(self) -> np.ndarray:
        """Frequencies of the imaginary modes, as negative numbers; none without modes."""
        modes = self.saddle.modes
        return np.zeros(0) if modes is None else modes.frequencies_per_cm[modes.imaginary]

    def summary(self) -> dict[str, Any]:
        saddle = self.saddle
        return {
            **super().summary(),
            "formula": self.atoms.get_chemical_formula(),
            "method": self.method,
            "steps": self.steps,
            "energy_eV": saddle.energy_eV,
            "energy_above_start_eV": self.energy_above_start_eV,
            "fmax_of_start_eV_per_A": self.fmax[0],
            "fmax_eV_per_A": saddle.fmax_eV_per_A,
            "moved_A": saddle.moved_A,
            "imaginary_per_cm": None if saddle.modes is None else self.imaginary_per_cm,
            "is_transition_state": saddle.is_transition_state,
            "energies_eV": self.energies,
        }

    def rows(self) -> list[Row]:
        rows = [
            ("energy", f"{self.saddle.energy_eV:.6f}", "eV"),
            ("above the start", f"{self.energy_above_start_eV:+.4f}", "eV"),
            ("largest force", f"{self.saddle.fmax_eV_per_A:.2e}", "eV/Å"),
            ("steps", f"{self.steps} ({self.method})", ""),
        ]
        if self.saddle.modes is not None:
            listed = ", ".join(f"{-value:.0f}i" for value in self.imaginary_per_cm) or "none"
            rows.append(("imaginary modes", listed, "cm^-1"))
        return rows
