"""Intensities of modes and absorption spectra, in the units of spectroscopy."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from ase import units

from ase_geomformer.runs.style import BLUE, GREY, PAGE, drawing, dress, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Integrated absorption in km/mol of a mode whose dipole changes by 1 e/amu^(1/2) along its
# mass-weighted coordinate, N_A / (12 epsilon_0 c^2) of it squared (E. B. Wilson, J. C. Decius,
# P. C. Cross, Molecular Vibrations, McGraw-Hill (1955), chapter 7).
KM_PER_MOL = units._Nav * units._e**2 / (12.0 * units._eps0 * units._c**2 * units._amu) / 1000.0
# Decadic molar absorption coefficient in L/(mol cm) of 1 km/mol spread over 1/cm.
MOLAR_ABSORPTION = 100.0 / np.log(10.0)
# Full width at half maximum of a band in figures, 1/cm.
WIDTH_PER_CM = 10.0


def intensities(
    polar_tensors: np.ndarray, vectors: np.ndarray, reduced_masses_amu: np.ndarray
) -> np.ndarray:
    """Integrated absorption of harmonic modes in km/mol.

    Parameters
    ----------
    polar_tensors : array, shape (N, 3, 3)
        In e, zero for atoms that do not move.
    vectors : array, shape (M, N, 3)
        Displacements of the atoms in each mode, of length 1.
    reduced_masses_amu : array, shape (M,)
        Masses that belong to these displacements.
    """
    slopes = np.einsum("nab,mnb->ma", polar_tensors, vectors)
    found: np.ndarray = KM_PER_MOL * (slopes**2).sum(axis=1) / reduced_masses_amu
    return found


def broadened(
    wavenumbers: np.ndarray,
    frequencies_per_cm: np.ndarray,
    intensities_km_per_mol: np.ndarray,
    width_per_cm: float = WIDTH_PER_CM,
) -> np.ndarray:
    """Molar absorption coefficient in L/(mol cm), each mode a Lorentzian.

    Parameters
    ----------
    wavenumbers : array, shape (W,)
        1/cm.
    frequencies_per_cm, intensities_km_per_mol : array, shape (M,)
        Imaginary modes, given as negative frequencies, count for nothing.
    width_per_cm : float
        Full width at half maximum.

    Returns
    -------
    array, shape (W,)
        Its integral over all wavenumbers is the sum of the intensities.
    """
    real = frequencies_per_cm > 0
    half = 0.5 * width_per_cm
    away = np.asarray(wavenumbers)[:, None] - frequencies_per_cm[real]
    bands = half / np.pi / (away**2 + half**2)
    found: np.ndarray = MOLAR_ABSORPTION * bands @ intensities_km_per_mol[real]
    return found


@drawing
def plot(frequencies_per_cm: np.ndarray, intensities_km_per_mol: np.ndarray, title: str) -> Figure:
    """Intensities as sticks, and the broadened spectrum.

    Parameters
    ----------
    frequencies_per_cm, intensities_km_per_mol : array, shape (M,)
    title : str
    """
    figure = new_figure(PAGE, 3.4)
    axes = figure.subplots()
    sticks = axes.twinx()
    real = frequencies_per_cm > 0
    high = 1.08 * max([500.0, *frequencies_per_cm])
    grid = np.arange(0.0, high, 0.5)
    spectrum = broadened(grid, frequencies_per_cm, intensities_km_per_mol)
    axes.plot(grid, spectrum, color=BLUE, lw=1.2)
    sticks.vlines(
        frequencies_per_cm[real], 0.0, intensities_km_per_mol[real], color=GREY, lw=1.6, alpha=0.7
    )
    axes.set_xlim(0.0, high)
    # Both scales from zero to where the highest ends, so that neither hides the other.
    axes.set_ylim(0.0, 1.1 * max([1e-6, *spectrum]))
    sticks.set_ylim(0.0, 1.1 * max([1e-6, *intensities_km_per_mol[real]]))
    axes.set_zorder(sticks.get_zorder() + 1)
    axes.patch.set_visible(False)
    axes.set_xlabel("wavenumber (cm$^{-1}$)")
    axes.set_ylabel("molar absorption (L mol$^{-1}$ cm$^{-1}$)")
    sticks.set_ylabel("intensity (km mol$^{-1}$)", color=GREY)
    sticks.tick_params(axis="y", colors=GREY)
    axes.set_title(title, loc="left")
    dress(axes)
    sticks.spines["top"].set_visible(False)
    return figure
