"""Settings of cohesive energies."""

from __future__ import annotations

from dataclasses import dataclass

from ase_geomformer.recipes.relaxation.settings import EnergySettings


@dataclass(frozen=True)
class CohesiveSettings(EnergySettings):
    """Settings of cohesive energies.

    Attributes
    ----------
    atom_energies : dict or None
        Energy in eV of an isolated atom of each element at the level of theory of the potential,
        such as {Si: -0.79}; those of the calculator by default.
    extrapolate : bool
        Accept the energies that a trained potential gives for isolated atoms, far from its data.
    relax : bool
        Relax the structures first, crystals with their cells.

    Raises
    ------
    ValueError
        If a value is out of range.

    See Also
    --------
    EnergySettings : all other settings.
    """

    atom_energies: dict[str, float] | None = None
    extrapolate: bool = False
    relax: bool = True
