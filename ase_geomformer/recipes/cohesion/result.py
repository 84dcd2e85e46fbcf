"""Result of cohesive energies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ase import Atoms

from ase_geomformer.runs.result import Entry, Listing, RecipeResult, Row


@dataclass(frozen=True, eq=False)
class Cohesion:
    """The cohesive energy of one structure.

    Attributes
    ----------
    name : str
    atoms : ase.Atoms
        Relaxed.
    cohesive_energy_eV : float
        By atom; positive for what is bound.
    problem : str
        Why it did not relax; empty if it did.
    """

    name: str
    atoms: Atoms
    cohesive_energy_eV: float
    problem: str


@dataclass(frozen=True, eq=False, kw_only=True)
class CohesiveResult(RecipeResult):
    """Cohesive energies of structures.

    Attributes
    ----------
    cohesions : list of Cohesion
        In the order of the structures.
    atom_energies_eV : dict of str to float
        Energy of an isolated atom of each element.
    atom_energies_from : str
        Where these come from: given, calculator or extrapolation.
    """

    cohesions: list[Cohesion]
    atom_energies_eV: dict[str, float]
    atom_energies_from: str

    @property
    def cohesive_energy_eV(self) -> float:
        """By atom, of the most strongly bound structure."""
        return max(one.cohesive_energy_eV for one in self.cohesions)

    def summary(self) -> dict[str, Any]:
        return {
            **super().summary(),
            "cohesive_energy_eV_per_atom": self.cohesive_energy_eV,
            "atom_energies_eV": self.atom_energies_eV,
            "atom_energies_from": self.atom_energies_from,
            "structures": [
                {
                    "name": one.name,
                    "formula": one.atoms.get_chemical_formula(),
                    "cohesive_energy_eV_per_atom": one.cohesive_energy_eV,
                    "problem": one.problem or None,
                }
                for one in self.cohesions
            ],
        }

    def entries(self) -> list[Entry]:
        return [
            Entry(
                one.name,
                one.atoms,
                {
                    "cohesive_energy_eV_per_atom": one.cohesive_energy_eV,
                    "converged": not one.problem,
                    "atom_energies_from": self.atom_energies_from,
                },
            )
            for one in self.cohesions
        ]

    def listing(self) -> Listing:
        rows = tuple(
            (
                one.name,
                one.atoms.symbols.formula.format("metal"),
                f"{one.cohesive_energy_eV:.4f}",
                one.problem,
            )
            for one in self.cohesions
        )
        return Listing(("structure", "formula", "cohesion (eV/atom)", ""), rows)

    def rows(self) -> list[Row]:
        rows = [("largest cohesive energy", f"{self.cohesive_energy_eV:.4f}", "eV/atom")]
        for symbol, energy in self.atom_energies_eV.items():
            rows.append((f"{symbol} atom ({self.atom_energies_from})", f"{energy:.4f}", "eV"))
        return rows
