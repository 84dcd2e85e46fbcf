"""Harmonic thermodynamics: free energy, entropy, heat capacity, mean square displacements."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from ase import units

from ase_geomformer.recipes.lattice.modes import Modes

if TYPE_CHECKING:
    from phonopy import Phonopy

_EV_PER_KJ_PER_MOL = units.kJ / units.mol
_THZ_IN_K = 1e12 * units._hplanck / units._k


@dataclass(frozen=True, eq=False)
class ThermalProperties:
    """Thermodynamics of the harmonic crystal, by primitive cell.

    Attributes
    ----------
    temperatures_K : array (temperatures,)
    free_energy_eV, entropy_eV_per_K, heat_capacity_eV_per_K : array (temperatures,)
        Helmholtz free energy of the vibrations with their zero-point energy, entropy, and heat
        capacity at constant volume.
    mean_square_displacement_A2 : array (temperatures, atoms)
        <u^2> / 3 of the atoms of the primitive cell: the mean over the three directions.
    zero_point_energy_eV : float
    """

    temperatures_K: np.ndarray
    free_energy_eV: np.ndarray
    entropy_eV_per_K: np.ndarray
    heat_capacity_eV_per_K: np.ndarray
    mean_square_displacement_A2: np.ndarray
    zero_point_energy_eV: float


def thermal_properties(
    phonon: Phonopy, modes: Modes, temperatures_K: np.ndarray, cutoff_THz: float
) -> ThermalProperties:
    """Thermodynamics by summing over the modes of a mesh.

    Parameters
    ----------
    phonon : Phonopy
        Whose mesh is that of ``modes``.
    modes : Modes
    temperatures_K : array (temperatures,)
    cutoff_THz : float
        Modes below it, imaginary ones and the translations among them, do not count.
    """
    found: Any = phonon.run_thermal_properties(
        temperatures=temperatures_K, cutoff_frequency=cutoff_THz
    )
    return ThermalProperties(
        temperatures_K=np.array(found.temperatures),
        free_energy_eV=np.array(found.free_energy) * _EV_PER_KJ_PER_MOL,
        entropy_eV_per_K=np.array(found.entropy) * 1e-3 * _EV_PER_KJ_PER_MOL,
        heat_capacity_eV_per_K=np.array(found.heat_capacity) * 1e-3 * _EV_PER_KJ_PER_MOL,
        mean_square_displacement_A2=mean_square_displacements(
            modes, np.array(phonon.primitive.masses), temperatures_K, cutoff_THz
        ),
        zero_point_energy_eV=float(found.zero_point_energy) * _EV_PER_KJ_PER_MOL,
    )


def mean_square_displacements(
    modes: Modes, masses: np.ndarray, temperatures_K: np.ndarray, cutoff_THz: float
) -> np.ndarray:
    """<u^2> / 3 (temperatures, atoms) in Å^2.

    The sum over modes of |e|^2 hbar (2 n + 1) / (2 m omega), divided by the number of q points,
    with n the Bose-Einstein occupation: e.g. Wallace, Thermodynamics of Crystals (1972).

    Parameters
    ----------
    modes : Modes
    masses : array (atoms,)
        In amu.
    temperatures_K : array (temperatures,)
    cutoff_THz : float
        Modes below it do not count.
    """
    counted = modes.frequencies_THz > cutoff_THz
    frequencies = np.where(counted, modes.frequencies_THz, 1.0)
    parts = modes.share_of_atoms * (modes.weights[:, None] * counted / frequencies)[:, :, None]
    parts = parts.reshape(-1, len(masses)) / modes.weights.sum()
    # hbar / (m omega) of 1 amu and 1 THz in Å^2, and one direction of the three.
    scale = 1e20 * units._hbar / (units._amu * 2e12 * np.pi) / 3.0
    found = np.empty((len(temperatures_K), len(masses)))
    for row, temperature in enumerate(temperatures_K):
        half_of_coth = np.full(frequencies.shape, 0.5)
        if temperature > 0:
            half_of_coth += 1.0 / np.expm1(_THZ_IN_K * frequencies / temperature)
        found[row] = half_of_coth.ravel() @ parts
    return scale * found / masses
