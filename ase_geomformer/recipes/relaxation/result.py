"""Results of relaxations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from ase import Atoms

from ase_geomformer.runs.result import Entry, RecipeResult, Row

# Damaged structures that the table at the end names.
_DAMAGED_SHOWN = 20


@dataclass(frozen=True, eq=False, kw_only=True)
class RelaxManyResult(RecipeResult):
    """Result of the relaxation of many structures.

    Attributes
    ----------
    converged : bool
        Whether all of them did.
    results : list of RelaxResult
        In the order of the structures.
    names : list of str
        File and frame of each.
    """

    results: list[RelaxResult]
    names: list[str]

    @property
    def structures(self) -> list[Atoms]:
        """The relaxed structures."""
        return [result.atoms for result in self.results]

    def summary(self) -> dict[str, Any]:
        return {
            **super().summary(),
            "number_of_structures": len(self.results),
            "number_converged": sum(result.converged for result in self.results),
            "steps": sum(result.steps for result in self.results),
            "structures": [
                {"name": name, **result.summary()}
                for name, result in zip(self.names, self.results, strict=True)
            ],
        }

    def entries(self) -> list[Entry]:
        return [
            Entry(name, result.atoms, result.summary())
            for name, result in zip(self.names, self.results, strict=True)
        ]

    def rows(self) -> list[Row]:
        steps = [result.steps for result in self.results]
        damaged = [
            (name, result.damage, "")
            for name, result in zip(self.names, self.results, strict=True)
            if result.damage is not None
        ]
        more = len(damaged) - _DAMAGED_SHOWN
        return [
            ("converged", f"{sum(r.converged for r in self.results)} of {len(self.results)}", ""),
            ("damaged", str(len(damaged)), ""),
            *damaged[:_DAMAGED_SHOWN],
            *([("", f"and {more} more in result.json", "")] if more > 0 else []),
            ("steps", f"{min(steps)} to {max(steps)}, {sum(steps)} in all", ""),
        ]


@dataclass(frozen=True, eq=False, kw_only=True)
class RelaxResult(RecipeResult):
    """Result of a relaxation.

    Attributes
    ----------
    atoms : ase.Atoms
        The last structure, with its energy, forces and stress.
    steps : int
        Steps made.
    optimizer : str
    energy : float
        In eV, without the external pressure's share.
    fmax : float
        Largest force on an atom that is free to follow it, in eV/Å.
    smax_GPa : float or None
        Largest component of the stress, beside the external pressure, that the cell is free to
        follow; None where the cell was fixed.
    damage : str or None
        How the structure exploded, collapsed or dissociated; None if it did not.
    space_group_before, space_group_after : str or None
        With their numbers; None for what is no crystal.
    history : dict of str to array
        ``energy_eV``, ``fmax_eV_per_A`` and, where the cell changes, ``smax_GPa`` and
        ``volume_A3``, from the start on.
    """

    atoms: Atoms
    steps: int
    optimizer: str
    energy: float
    fmax: float
    smax_GPa: float | None
    damage: str | None
    space_group_before: str | None
    space_group_after: str | None
    history: dict[str, np.ndarray]

    def summary(self) -> dict[str, Any]:
        numbers = {
            **super().summary(),
            "damage": self.damage,
            "steps": self.steps,
            "optimizer": self.optimizer,
            "formula": self.atoms.get_chemical_formula(),
            "number_of_atoms": len(self.atoms),
            "energy_eV": self.energy,
            "energy_change_eV": self.energy - float(self.history["energy_eV"][0]),
            "fmax_eV_per_A": self.fmax,
            "smax_GPa": self.smax_GPa,
            "space_group_before": self.space_group_before,
            "space_group_after": self.space_group_after,
        }
        if self.atoms.cell.rank == 3:
            cell = self.atoms.cell.cellpar()
            numbers |= {
                "lattice_A": cell[:3],
                "angles_deg": cell[3:],
                "volume_A3": self.atoms.get_volume(),
            }
        return numbers

    def rows(self) -> list[Row]:
        rows = [
            ("energy", f"{self.energy:.6f}", "eV"),
            ("steps", f"{self.steps} ({self.optimizer})", ""),
            ("largest force", f"{self.fmax:.2e}", "eV/Å"),
        ]
        if self.smax_GPa is not None:
            rows.append(("largest stress", f"{self.smax_GPa:.2e}", "GPa"))
            lengths = self.atoms.cell.lengths()
            rows.append(("lattice", " ".join(f"{length:.4f}" for length in lengths), "Å"))
        if self.space_group_before is not None:
            change = f"{self.space_group_before} → {self.space_group_after}"
            rows.append(("space group", change, ""))
        if self.damage is not None:
            rows.append(("damage", self.damage, ""))
        return rows
