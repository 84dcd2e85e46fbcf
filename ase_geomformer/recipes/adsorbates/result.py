"""Result of adsorption."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ase import Atoms

from ase_geomformer.recipes.adsorbates.sites import Site
from ase_geomformer.runs.result import Entry, Listing, RecipeResult, Row


@dataclass(frozen=True, eq=False)
class Adsorbed:
    """The adsorbate, relaxed from one site.

    Attributes
    ----------
    site : Site
        Where it was put.
    ends_at : str
        Name of the site that its binding atom is nearest to after the relaxation.
    adsorption_energy_eV : float
        E(slab with adsorbate) - E(slab) - E(adsorbate); negative for what is bound.
    height_A : float
        Of the binding atom above the highest atom of the clean slab.
    atoms : ase.Atoms
        Relaxed; the last atoms are the adsorbate's.
    problem : str
        Why it did not relax, or what became of it; empty if it did.
    """

    site: Site
    ends_at: str
    adsorption_energy_eV: float
    height_A: float
    atoms: Atoms
    problem: str


@dataclass(frozen=True, eq=False, kw_only=True)
class AdsorptionResult(RecipeResult):
    """Adsorption energies on all sites of a slab.

    Attributes
    ----------
    adsorbed : list of Adsorbed
        In the order of their energies.
    slab : ase.Atoms
        The clean slab, repeated and relaxed.
    slab_energy_eV : float
    adsorbate : ase.Atoms
        On its own, relaxed.
    reference_eV : float
        Energy of the adsorbate far away.
    """

    adsorbed: list[Adsorbed]
    slab: Atoms
    slab_energy_eV: float
    adsorbate: Atoms
    reference_eV: float

    @property
    def adsorption_energy_eV(self) -> float:
        """The lowest one."""
        return self.adsorbed[0].adsorption_energy_eV

    def summary(self) -> dict[str, Any]:
        return {
            **super().summary(),
            "slab": self.slab.get_chemical_formula(),
            "adsorbate": self.adsorbate.get_chemical_formula(),
            "adsorption_energy_eV": self.adsorption_energy_eV,
            "site": self.adsorbed[0].ends_at,
            "slab_energy_eV": self.slab_energy_eV,
            "reference_eV": self.reference_eV,
            "sites": [
                {
                    "name": one.site.name,
                    "neighbours": one.site.neighbours,
                    "below_A": one.site.below_A,
                    "ends_at": one.ends_at,
                    "adsorption_energy_eV": one.adsorption_energy_eV,
                    "height_A": one.height_A,
                    "problem": one.problem or None,
                }
                for one in self.adsorbed
            ],
        }

    def entries(self) -> list[Entry]:
        return [
            Entry(
                one.site.name,
                one.atoms,
                {
                    "adsorption_energy_eV": one.adsorption_energy_eV,
                    "height_A": one.height_A,
                    "converged": not one.problem,
                    "ends_at": one.ends_at,
                },
            )
            for one in self.adsorbed
        ]

    def listing(self) -> Listing:
        rows = tuple(
            (
                one.site.name,
                "" if one.site.below_A is None else f"{one.site.below_A:.2f}",
                f"{one.adsorption_energy_eV:.4f}",
                f"{one.height_A:.2f}",
                one.problem or ("" if one.ends_at == one.site.name else f"moved: {one.ends_at}"),
            )
            for one in self.adsorbed
        )
        return Listing(("site", "atom below (Å)", "energy (eV)", "height (Å)", ""), rows)

    def rows(self) -> list[Row]:
        return [
            ("adsorption energy", f"{self.adsorption_energy_eV:.4f}", "eV"),
            ("site", self.adsorbed[0].ends_at, ""),
            ("adsorbate far away", f"{self.reference_eV:.6f}", "eV"),
        ]
