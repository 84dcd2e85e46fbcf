"""Result of a lattice thermal conductivity."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from ase import Atoms

from ase_geomformer.recipes.lattice import stability
from ase_geomformer.recipes.lattice.conductivity.third_order import (
    Transport,
)
from ase_geomformer.runs.result import RecipeResult, Row

if TYPE_CHECKING:
    from phono3py import Phono3py


@dataclass(frozen=True, eq=False, kw_only=True)
class ConductivityResult(RecipeResult):
    """Result of a calculation of the lattice thermal conductivity.

    Attributes
    ----------
    atoms : ase.Atoms
        The relaxed cell.
    phonon : phono3py.Phono3py
        With its force constants.
    structures_evaluated : int
        Supercells with one or two displaced atoms.
    temperatures_K : array (temperatures,)
    transport : Transport
    stability : Stability
    """

    atoms: Atoms
    phonon: Phono3py
    structures_evaluated: int
    temperatures_K: np.ndarray
    transport: Transport
    stability: stability.Stability

    @property
    def conductivity_W_per_mK(self) -> np.ndarray:
        """Conductivity (temperatures, 6): xx, yy, zz, yz, xz, xy."""
        return self.transport.conductivity_W_per_mK

    def summary(self) -> dict[str, Any]:
        return {
            **super().summary(),
            "number_of_atoms": len(self.phonon.primitive),
            "number_of_atoms_in_supercell": len(self.phonon.supercell),
            "number_of_atoms_in_phonon_supercell": len(self.phonon.phonon_supercell),
            "structures_evaluated": self.structures_evaluated,
            "lattice_A": self.atoms.cell.cellpar()[:3],
            "angles_deg": self.atoms.cell.cellpar()[3:],
            "mesh": self.phonon.mesh_numbers,
            "lowest_frequency_THz": self.stability.lowest_frequency_THz,
            "temperatures_K": self.temperatures_K,
            "conductivity_W_per_mK": self.conductivity_W_per_mK,
        }

    def rows(self) -> list[Row]:
        warm = int(np.argmin(np.abs(self.temperatures_K - 300.0)))
        at = f"at {self.temperatures_K[warm]:g} K"
        along = self.conductivity_W_per_mK[warm][:3]
        return [
            ("structures evaluated", str(self.structures_evaluated), ""),
            ("atoms in supercell", str(len(self.phonon.supercell)), ""),
            ("mesh", " ".join(str(number) for number in self.phonon.mesh_numbers), ""),
            (f"conductivity {at}", " ".join(f"{part:.3g}" for part in along), "W/m/K"),
        ]
