"""Settings of formation energies of vacancies."""

from __future__ import annotations

from dataclasses import dataclass

from ase_geomformer.recipes.relaxation.settings import EnergySettings
from ase_geomformer.settings.ranges import ranged


@dataclass(frozen=True)
class VacancySettings(EnergySettings):
    """Settings of formation energies of vacancies.

    Attributes
    ----------
    elements : list of str or None
        Elements to take an atom of out; all by default.
    chemical_potentials : dict or None
        Energy in eV of an atom of each element where it goes, such as {O: -4.9}. The crystal itself
        for an element; without them, vacancies of a compound have a Schottky energy only.
    min_length_A : float
        Distance of a vacancy from its periodic images in the smallest supercell, at least (Å).
    sizes : int
        Number of supercells, each with one more conventional cell along every axis.
    relax_bulk : bool
        Relax the crystal and its cell first.
    relax_atoms : bool
        Relax the atoms around the vacancy, in a fixed cell.
    symprec_A : float
        Tolerance of the symmetry search (Å).

    Raises
    ------
    ValueError
        If a value is out of range.

    See Also
    --------
    EnergySettings : all other settings.
    """

    elements: list[str] | None = None
    chemical_potentials: dict[str, float] | None = None
    min_length_A: float = ranged(10.0, 1, 1000, "Å")
    sizes: int = ranged(2, 1, 10)
    relax_bulk: bool = True
    relax_atoms: bool = True
    symprec_A: float = ranged(0.01, 1e-10, 1, "Å")
