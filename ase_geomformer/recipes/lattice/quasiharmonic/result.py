"""Result of a quasi-harmonic calculation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from ase import Atoms

from ase_geomformer.recipes.lattice.bands import Bands
from ase_geomformer.recipes.lattice.quasiharmonic.gruneisen import GruneisenParameters
from ase_geomformer.recipes.lattice.stability import Stability
from ase_geomformer.runs.result import RecipeResult, Row


@dataclass(frozen=True, eq=False, kw_only=True)
class QHAResult(RecipeResult):
    """Result of a quasi-harmonic calculation; extensive quantities are by primitive cell.

    ``converged`` is False where a relaxation did not reach its goal or, unless the settings
    ignore them, where a volume has imaginary modes.

    Attributes
    ----------
    atoms : ase.Atoms
        The relaxed cell, without vibrations.
    static_volume_A3 : float
        Of its primitive cell.
    eos : str
        The equation of state that free energies are fitted to.
    volumes_A3, energies_eV : array (volumes,)
        Static energies.
    stabilities : list of Stability
        Lowest frequency at each volume.
    temperatures_K : array (temperatures,)
    free_energies_eV : array (temperatures, volumes)
        Static energy, free energy of the vibrations and pressure times volume.
    equilibrium_volumes_A3 : array (temperatures,)
    gibbs_energy_eV : array (temperatures,)
    thermal_expansion_per_K : array (temperatures,)
        Volumetric; a third of it is linear in a cubic crystal.
    bulk_modulus_GPa : array (temperatures,)
        Isothermal.
    heat_capacity_eV_per_K : array (temperatures,)
        At constant pressure.
    thermal_gruneisen : array (temperatures,)
        Thermodynamic Grüneisen parameter.
    modes : GruneisenParameters
        Of each mode at the volume of ``atoms``.
    bands : Bands
        At the volume of ``atoms``.
    """

    atoms: Atoms
    static_volume_A3: float
    eos: str
    volumes_A3: np.ndarray
    energies_eV: np.ndarray
    stabilities: list[Stability]
    temperatures_K: np.ndarray
    free_energies_eV: np.ndarray
    equilibrium_volumes_A3: np.ndarray
    gibbs_energy_eV: np.ndarray
    thermal_expansion_per_K: np.ndarray
    bulk_modulus_GPa: np.ndarray
    heat_capacity_eV_per_K: np.ndarray
    thermal_gruneisen: np.ndarray
    modes: GruneisenParameters
    bands: Bands

    def summary(self) -> dict[str, Any]:
        return {
            **super().summary(),
            "static_volume_A3": self.static_volume_A3,
            "volumes_A3": self.volumes_A3,
            "energies_eV": self.energies_eV,
            "lowest_frequencies_THz": [one.lowest_frequency_THz for one in self.stabilities],
            "temperatures_K": self.temperatures_K,
            "equilibrium_volumes_A3": self.equilibrium_volumes_A3,
            "gibbs_energy_eV": self.gibbs_energy_eV,
            "thermal_expansion_per_K": self.thermal_expansion_per_K,
            "bulk_modulus_GPa": self.bulk_modulus_GPa,
            "heat_capacity_eV_per_K": self.heat_capacity_eV_per_K,
            "thermal_gruneisen": self.thermal_gruneisen,
        }

    def arrays(self) -> dict[str, np.ndarray]:
        """Arrays that are too large for ``result.json``."""
        modes = self.modes
        return {
            "free_energies_eV": self.free_energies_eV,
            "mesh_q_points": modes.q_points,
            "mesh_weights": modes.weights,
            "mesh_frequencies_THz": modes.frequencies_THz,
            "mesh_gruneisen": modes.parameters,
            "band_distances_per_A": np.concatenate(modes.band_distances),
            "band_frequencies_THz": np.concatenate(modes.band_frequencies_THz),
            "band_gruneisen": np.concatenate(modes.band_parameters),
        }

    def rows(self) -> list[Row]:
        warm = int(np.argmin(np.abs(self.temperatures_K - 300.0)))
        at = f"at {self.temperatures_K[warm]:g} K"
        return [
            ("volume of primitive cell, static", f"{self.static_volume_A3:.3f}", "Å³"),
            (f"volume {at}", f"{self.equilibrium_volumes_A3[warm]:.3f}", "Å³"),
            (
                f"volume expansion coefficient {at}",
                f"{1e6 * self.thermal_expansion_per_K[warm]:.2f}",
                "1e-6/K",
            ),
            (f"bulk modulus {at}", f"{self.bulk_modulus_GPa[warm]:.2f}", "GPa"),
            (f"Grüneisen parameter {at}", f"{self.thermal_gruneisen[warm]:.3f}", ""),
        ]
