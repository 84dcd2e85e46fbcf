"""Result of an intrinsic reaction coordinate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from ase import Atoms

from ase_geomformer.recipes.transition_state.refinement import Saddle
from ase_geomformer.runs.result import Entry, RecipeResult, Row


@dataclass(frozen=True, eq=False, kw_only=True)
class IRCResult(RecipeResult):
    """An intrinsic reaction coordinate.

    The path leads from the end on the backward side over the saddle point to the end on the forward
    side; forward is where the largest component of the imaginary mode is positive. ``converged``
    says that both sides came down to a minimum.

    Attributes
    ----------
    saddle : Saddle
    images : list of ase.Atoms
        The path, with energies.
    coordinate : array, shape (points,)
        Mass-weighted length along the path from the saddle point, negative backward, Å amu^1/2.
    energies : array, shape (points,)
        eV above the saddle point, so that they are negative.
    fmax : array, shape (points,)
        Largest force on an atom, eV/Å.
    ends : list of ase.Atoms
        Both minima, or the ends of the path if they were not relaxed.
    end_energies : array, shape (2,)
        eV above the saddle point.
    evaluations : int
        Energies and forces that the points took.
    """

    saddle: Saddle
    images: list[Atoms]
    coordinate: np.ndarray
    energies: np.ndarray
    fmax: np.ndarray
    ends: list[Atoms]
    end_energies: np.ndarray
    evaluations: int

    @property
    def barrier_forward_eV(self) -> float:
        """From the minimum on the backward side to the saddle point."""
        return -float(self.end_energies[0])

    @property
    def barrier_reverse_eV(self) -> float:
        """From the minimum on the forward side to the saddle point."""
        return -float(self.end_energies[1])

    @property
    def reaction_energy_eV(self) -> float:
        """Energy of the forward minimum above the backward one."""
        return float(self.end_energies[1] - self.end_energies[0])

    @property
    def imaginary_per_cm(self) -> float:
        """Frequency of the imaginary mode of the saddle point, as a negative number."""
        assert self.saddle.modes is not None
        return float(self.saddle.modes.frequencies_per_cm[0])

    def summary(self) -> dict[str, Any]:
        return {
            **super().summary(),
            "formula": self.saddle.atoms.get_chemical_formula(),
            "points": len(self.images),
            "evaluations": self.evaluations,
            "barrier_forward_eV": self.barrier_forward_eV,
            "barrier_reverse_eV": self.barrier_reverse_eV,
            "reaction_energy_eV": self.reaction_energy_eV,
            "saddle_energy_eV": self.saddle.energy_eV,
            "saddle_fmax_eV_per_A": self.saddle.fmax_eV_per_A,
            "imaginary_per_cm": self.imaginary_per_cm,
            "coordinate_A_sqrt_amu": self.coordinate,
            "energies_above_saddle_eV": self.energies,
        }

    def entries(self) -> list[Entry]:
        found = [
            Entry(f"end {place + 1}", atoms, {"converged": self.converged})
            for place, atoms in enumerate(self.ends)
        ]
        return [Entry("saddle point", self.saddle.atoms, self.summary()), *found]

    def rows(self) -> list[Row]:
        return [
            ("barrier", f"{self.barrier_forward_eV:.4f}", "eV"),
            ("barrier back", f"{self.barrier_reverse_eV:.4f}", "eV"),
            ("reaction energy", f"{self.reaction_energy_eV:+.4f}", "eV"),
            ("imaginary mode", f"{-self.imaginary_per_cm:.0f}i", "cm^-1"),
            ("points", str(len(self.images)), ""),
            ("evaluations", str(self.evaluations), ""),
        ]
