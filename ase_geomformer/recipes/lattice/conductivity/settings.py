"""Settings of a calculation of the lattice thermal conductivity."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from ase_geomformer.recipes.lattice.settings import LatticeSettings
from ase_geomformer.settings.checks import check_settings, require
from ase_geomformer.settings.ranges import MOST_ROWS, ranged

Method = Literal["rta", "lbte"]


@dataclass(frozen=True)
class ConductivitySettings(LatticeSettings):
    """Settings of a calculation of the lattice thermal conductivity.

    Attributes
    ----------
    supercell : list of int or None
        Supercell of the third-order force constants: three multiples of the cell, or the nine
        elements of a matrix row by row (its columns are the supercell vectors); chosen by
        supercell_length_A when left out.
    supercell_length_A : float
        Smallest distance between its opposite faces (Å).
    phonon_supercell : list of int or None
        Supercell of the second-order force constants, which reach further; chosen by
        phonon_supercell_length_A when left out.
    phonon_supercell_length_A : float
        Smallest distance between its opposite faces (Å).
    pair_cutoff_A : float or None
        Cutoff distance of pair displacements (Å); third-order force constants of pairs further
        apart are zero. No cutoff when left out.
    method : str
        rta (relaxation-time approximation) or lbte (direct solution of the linearized Boltzmann
        equation).
    isotopes : bool
        Include scattering by natural isotopes.
    boundary_um : float or None
        Maximum mean free path (µm): boundary scattering in grains of this size.
    temperature_min_K : float
        Lowest temperature (K).
    temperature_max_K : float
        Highest temperature (K).
    temperature_step_K : float
        Temperature step (K).

    See Also
    --------
    LatticeSettings : all other settings.
    """

    supercell_length_A: float = ranged(10.0, 0.001, 1000, "Å")
    displacement_A: float = ranged(0.03, 1e-6, 1, "Å")
    mesh_length_A: float = ranged(40.0, 0.001, 500, "Å")
    phonon_supercell: list[int] | None = ranged(None, -100, 100)
    phonon_supercell_length_A: float = ranged(15.0, 0.001, 1000, "Å")
    pair_cutoff_A: float | None = ranged(None, 0, 1000, "Å", above=True)
    method: Method = "rta"
    isotopes: bool = True
    boundary_um: float | None = ranged(None, 1e-6, 1e9, "µm")
    temperature_min_K: float = ranged(100.0, 0, 1e5, "K", above=True)
    temperature_max_K: float = ranged(1000.0, 0, 1e5, "K", above=True)
    temperature_step_K: float = ranged(50.0, 0.001, 1e5, "K")

    def __post_init__(self) -> None:
        super().__post_init__()
        check_settings(self)
        require(
            self,
            self.temperature_max_K >= self.temperature_min_K,
            "temperature_max_K",
            "temperature_min_K at least",
        )
        rows = (self.temperature_max_K - self.temperature_min_K) / self.temperature_step_K
        require(self, rows <= MOST_ROWS, "temperature_step_K", f"larger: it gives {rows:.3g} rows")

    @property
    def temperatures_K(self) -> np.ndarray:
        """Temperatures from the lowest to the highest."""
        span = self.temperature_max_K - self.temperature_min_K
        count = int(span / self.temperature_step_K + 1e-9)
        return np.asarray(self.temperature_min_K + self.temperature_step_K * np.arange(count + 1))
