"""Settings of a calculation of the lattice thermal conductivity."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from ase_geomformer.recipes.lattice.settings import LatticeSettings
from ase_geomformer.settings.checks import check_settings, require

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

    supercell_length_A: float = 10.0
    displacement_A: float = 0.03
    mesh_length_A: float = 40.0
    phonon_supercell: list[int] | None = None
    phonon_supercell_length_A: float = 15.0
    pair_cutoff_A: float | None = None
    method: Method = "rta"
    isotopes: bool = True
    boundary_um: float | None = None
    temperature_min_K: float = 100.0
    temperature_max_K: float = 1000.0
    temperature_step_K: float = 50.0

    def __post_init__(self) -> None:
        super().__post_init__()
        positive = (
            "phonon_supercell_length_A", "pair_cutoff_A", "boundary_um", "temperature_min_K",
            "temperature_step_K",
        )  # fmt: skip
        check_settings(self, positive=positive)
        require(
            self,
            self.temperature_max_K >= self.temperature_min_K,
            "temperature_max_K",
            "temperature_min_K at least",
        )

    @property
    def temperatures_K(self) -> np.ndarray:
        """Temperatures from the lowest to the highest."""
        span = self.temperature_max_K - self.temperature_min_K
        count = int(span / self.temperature_step_K + 1e-9)
        return np.asarray(self.temperature_min_K + self.temperature_step_K * np.arange(count + 1))
