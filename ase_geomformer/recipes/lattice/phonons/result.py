"""Result of a phonon calculation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from ase import Atoms

from ase_geomformer.recipes.lattice.bands import Bands
from ase_geomformer.recipes.lattice.modes import Modes
from ase_geomformer.recipes.lattice.phonons.densities import DensityOfStates
from ase_geomformer.recipes.lattice.phonons.thermal import ThermalProperties
from ase_geomformer.recipes.lattice.stability import Stability
from ase_geomformer.runs.result import RecipeResult, Row

if TYPE_CHECKING:
    from phonopy import Phonopy


@dataclass(frozen=True, eq=False, kw_only=True)
class PhononResult(RecipeResult):
    """Result of a phonon calculation.

    ``converged`` is False where the relaxation did not reach its goal or, unless the settings
    ignore them, where there are imaginary modes.

    Attributes
    ----------
    atoms : ase.Atoms
        The relaxed cell.
    phonon : phonopy.Phonopy
        With its force constants and all that was computed.
    supercell_matrix : array (3, 3)
        Columns are the supercell's vectors in units of the cell's.
    structures_evaluated : int
        Displaced supercells, or frames of dynamics; none for exact second derivatives.
    bands : Bands
    modes : Modes
    dos : DensityOfStates
    thermal : ThermalProperties
    stability : Stability
    acoustic_gap_THz : float
        Largest absolute frequency of the three modes at Γ that are translations, without the
        non-analytical term: zero where the acoustic sum rule holds.
    """

    atoms: Atoms
    phonon: Phonopy
    supercell_matrix: np.ndarray
    structures_evaluated: int
    bands: Bands
    modes: Modes
    dos: DensityOfStates
    thermal: ThermalProperties
    stability: Stability
    acoustic_gap_THz: float

    def summary(self) -> dict[str, Any]:
        thermal = self.thermal
        return {
            **super().summary(),
            "number_of_atoms": len(self.phonon.primitive),
            "number_of_atoms_in_supercell": len(self.phonon.supercell),
            "supercell_matrix": self.supercell_matrix,
            "structures_evaluated": self.structures_evaluated,
            "lattice_A": self.atoms.cell.cellpar()[:3],
            "angles_deg": self.atoms.cell.cellpar()[3:],
            "stable": self.stability.stable,
            "lowest_frequency_THz": self.stability.lowest_frequency_THz,
            "lowest_frequency_q_point": self.stability.lowest_q_point,
            "imaginary_share": self.stability.imaginary_share,
            "acoustic_gap_THz": self.acoustic_gap_THz,
            "highest_frequency_THz": self.modes.frequencies_THz.max(),
            "frequencies_THz": self.bands.special_points(),
            "zero_point_energy_eV": thermal.zero_point_energy_eV,
            "temperatures_K": thermal.temperatures_K,
            "free_energy_eV": thermal.free_energy_eV,
            "entropy_eV_per_K": thermal.entropy_eV_per_K,
            "heat_capacity_eV_per_K": thermal.heat_capacity_eV_per_K,
            "mean_square_displacement_A2": thermal.mean_square_displacement_A2,
        }

    def arrays(self) -> dict[str, np.ndarray]:
        """All arrays by name, with units in the names; segments of bands one after the other."""
        bands, modes = self.bands, self.modes
        return {
            "band_segments": np.array([len(part) for part in bands.distances]),
            "band_labels": np.array(bands.labels),
            "band_q_points": np.concatenate(bands.q_points),
            "band_distances_per_A": np.concatenate(bands.distances),
            "band_frequencies_THz": np.concatenate(bands.frequencies_THz),
            "band_group_velocities_THz_A": np.concatenate(bands.group_velocities_THz_A),
            "mesh": modes.mesh,
            "mesh_q_points": modes.q_points,
            "mesh_weights": modes.weights,
            "mesh_frequencies_THz": modes.frequencies_THz,
            "dos_frequencies_THz": self.dos.frequencies_THz,
            "dos_total_per_THz": self.dos.total_per_THz,
            **{f"dos_{name}_per_THz": part for name, part in self.dos.by_element_per_THz.items()},
        }

    def rows(self) -> list[Row]:
        thermal, highest = self.thermal, self.modes.frequencies_THz.max()
        a, b, c = self.atoms.cell.cellpar()[:3]
        warm = int(np.argmin(np.abs(thermal.temperatures_K - 300.0)))
        at = f"at {thermal.temperatures_K[warm]:g} K"
        by_atom = 1000.0 / len(self.phonon.primitive)
        heat_capacity = by_atom * thermal.heat_capacity_eV_per_K[warm]
        zero_point = by_atom * thermal.zero_point_energy_eV
        return [
            ("lattice", f"{a:.4f} {b:.4f} {c:.4f}", "Å"),
            ("atoms in supercell", str(len(self.phonon.supercell)), ""),
            ("structures evaluated", str(self.structures_evaluated), ""),
            ("lowest frequency", f"{self.stability.lowest_frequency_THz:.3f}", "THz"),
            ("highest frequency", f"{highest:.3f}", "THz"),
            ("translations at Γ", f"{self.acoustic_gap_THz:.1e}", "THz"),
            ("zero-point energy", f"{zero_point:.2f}", "meV/atom"),
            (f"heat capacity {at}", f"{heat_capacity:.4f}", "meV/K/atom"),
        ]
