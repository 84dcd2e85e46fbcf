"""Result of surface energies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from ase import Atoms

from ase_geomformer.recipes.surfaces.slabs import Cut
from ase_geomformer.runs.result import Entry, Listing, RecipeResult, Row


@dataclass(frozen=True, eq=False)
class Termination:
    """The slabs that one cut leaves.

    Attributes
    ----------
    cut : Cut
    energy_J_per_m2 : float
        Surface energy from the straight line through the energies of all slabs; the mean of both
        faces where these differ.
    error_J_per_m2 : float or None
        Its standard error; None for two slabs.
    thickness_A : array (n,)
    by_thickness_J_per_m2 : array (n,)
        Of each slab, with the energy of the relaxed crystal.
    bulk_energy_eV : float
        Energy of an atom in the slope of the straight line.
    slabs : list of ase.Atoms
    converged : bool
        Whether all slabs relaxed.
    """

    cut: Cut
    energy_J_per_m2: float
    error_J_per_m2: float | None
    thickness_A: np.ndarray
    by_thickness_J_per_m2: np.ndarray
    bulk_energy_eV: float
    slabs: list[Atoms]
    converged: bool

    @property
    def remark(self) -> str:
        """What is to be said of its faces."""
        if self.cut.polar:
            return "polar or not stoichiometric faces: mean of both"
        return "" if self.cut.equal_faces else "unequal faces: mean of both"


@dataclass(frozen=True, eq=False, kw_only=True)
class SurfaceResult(RecipeResult):
    """Surface energies of all terminations.

    Attributes
    ----------
    miller : list of int
    terminations : list of Termination
        In the order of their energies.
    area_A2 : float
        Of one face.
    bulk : ase.Atoms
        The relaxed crystal, primitive.
    bulk_energy_eV : float
        By atom.
    """

    miller: list[int]
    terminations: list[Termination]
    area_A2: float
    bulk: Atoms
    bulk_energy_eV: float

    @property
    def energy_J_per_m2(self) -> float:
        """The lowest one."""
        return self.terminations[0].energy_J_per_m2

    def summary(self) -> dict[str, Any]:
        return {
            **super().summary(),
            "formula": self.bulk.get_chemical_formula(),
            "miller": self.miller,
            "energy_J_per_m2": self.energy_J_per_m2,
            "area_A2": self.area_A2,
            "bulk_energy_eV_per_atom": self.bulk_energy_eV,
            "terminations": [
                {
                    "name": one.cut.name,
                    "gap_A": one.cut.gap_A,
                    "equal_faces": one.cut.equal_faces,
                    "polar": one.cut.polar,
                    "energy_J_per_m2": one.energy_J_per_m2,
                    "error_J_per_m2": one.error_J_per_m2,
                    "thickness_A": one.thickness_A,
                    "by_thickness_J_per_m2": one.by_thickness_J_per_m2,
                    "bulk_energy_of_fit_eV_per_atom": one.bulk_energy_eV,
                    "converged": one.converged,
                }
                for one in self.terminations
            ],
        }

    def entries(self) -> list[Entry]:
        return [
            Entry(
                one.cut.name,
                one.slabs[-1],
                {
                    "surface_energy_J_per_m2": one.energy_J_per_m2,
                    "converged": one.converged,
                    "polar": one.cut.polar,
                    "miller": self.miller,
                },
            )
            for one in self.terminations
        ]

    def listing(self) -> Listing:
        rows = tuple(
            (
                one.cut.name,
                f"{one.cut.gap_A:.2f}",
                f"{one.energy_J_per_m2:.3f}",
                "" if one.error_J_per_m2 is None else f"{one.error_J_per_m2:.1g}",
                one.remark,
            )
            for one in self.terminations
        )
        return Listing(("planes", "gap (Å)", "J/m²", "±", ""), rows)

    def rows(self) -> list[Row]:
        name = " ".join(map(str, self.miller))
        return [
            (f"surface energy ({name})", f"{self.energy_J_per_m2:.4f}", "J/m²"),
            ("area", f"{self.area_A2:.4f}", "Å²"),
            ("energy in the crystal", f"{self.bulk_energy_eV:.6f}", "eV/atom"),
        ]
