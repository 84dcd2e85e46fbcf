"""Result of formation energies of vacancies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from ase import Atoms

from ase_geomformer.runs.result import Entry, Listing, RecipeResult, Row


@dataclass(frozen=True, eq=False)
class Vacancy:
    """Vacancies of one kind of site, in supercells of several sizes.

    Attributes
    ----------
    element : str
    site : str
        Wyckoff letter of the site, with its number of atoms in the conventional cell, such as "4a".
    removal_energies_eV : array (n,)
        E(vacancy) - E(crystal), in each supercell.
    chemical_potential_eV : float or None
        Energy of the atom where it goes; None if it is not known.
    structures : list of ase.Atoms
        With the vacancy, relaxed.
    converged : bool
        Whether all of them relaxed.
    """

    element: str
    site: str
    removal_energies_eV: np.ndarray
    chemical_potential_eV: float | None
    structures: list[Atoms]
    converged: bool

    @property
    def formation_energies_eV(self) -> np.ndarray | None:
        """Of each supercell; None without a chemical potential."""
        if self.chemical_potential_eV is None:
            return None
        return self.removal_energies_eV + self.chemical_potential_eV

    @property
    def energy_eV(self) -> float | None:
        """Formation energy in the largest supercell; None without a chemical potential."""
        energies = self.formation_energies_eV
        return None if energies is None else float(energies[-1])


@dataclass(frozen=True, eq=False, kw_only=True)
class VacancyResult(RecipeResult):
    """Formation energies of all vacancies of a crystal.

    Attributes
    ----------
    vacancies : list of Vacancy
        One by kind of site.
    sites : array (n,)
        Number of sites of each supercell.
    bulk : ase.Atoms
        The relaxed conventional cell.
    bulk_energy_eV : float
        By atom.
    schottky_energies_eV : array (n,) or None
        Energy of vacancies of one formula unit, far from each other, whose atoms go to the crystal;
        None for elements, and where not all elements were taken out.
    """

    vacancies: list[Vacancy]
    sites: np.ndarray
    bulk: Atoms
    bulk_energy_eV: float
    schottky_energies_eV: np.ndarray | None

    @property
    def energy_eV(self) -> float | None:
        """The lowest formation energy, in the largest supercell; None if none is known."""
        known = [one.energy_eV for one in self.vacancies if one.energy_eV is not None]
        return min(known) if known else None

    def summary(self) -> dict[str, Any]:
        return {
            **super().summary(),
            "formula": self.bulk.get_chemical_formula(),
            "energy_eV": self.energy_eV,
            "schottky_energies_eV": self.schottky_energies_eV,
            "bulk_energy_eV_per_atom": self.bulk_energy_eV,
            "sites": self.sites,
            "vacancies": [
                {
                    "element": one.element,
                    "site": one.site,
                    "energy_eV": one.energy_eV,
                    "formation_energies_eV": one.formation_energies_eV,
                    "removal_energies_eV": one.removal_energies_eV,
                    "chemical_potential_eV": one.chemical_potential_eV,
                    "converged": one.converged,
                }
                for one in self.vacancies
            ],
        }

    def entries(self) -> list[Entry]:
        return [
            Entry(
                f"{one.element} ({one.site})",
                one.structures[-1],
                {
                    "formation_energy_eV": one.energy_eV,
                    "removal_energy_eV": one.removal_energies_eV[-1],
                    "converged": one.converged,
                },
            )
            for one in self.vacancies
        ]

    def listing(self) -> Listing:
        rows = tuple(
            (one.element, one.site, str(count), f"{removal:.4f}", _told(one, removal))
            for one in self.vacancies
            for count, removal in zip(self.sites, one.removal_energies_eV, strict=True)
        )
        headings = ("element", "site", "sites", "removal (eV)", "formation (eV)")
        return Listing(headings, rows)

    def rows(self) -> list[Row]:
        rows = []
        if self.energy_eV is not None:
            rows.append(("formation energy", f"{self.energy_eV:.4f}", "eV"))
        if self.schottky_energies_eV is not None:
            rows.append(("Schottky energy", f"{self.schottky_energies_eV[-1]:.4f}", "eV"))
        return [*rows, ("energy in the crystal", f"{self.bulk_energy_eV:.6f}", "eV/atom")]


def _told(one: Vacancy, removal: float) -> str:
    if one.chemical_potential_eV is None:
        return "needs a chemical potential"
    return f"{removal + one.chemical_potential_eV:.4f}"
