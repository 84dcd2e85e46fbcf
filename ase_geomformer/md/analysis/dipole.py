"""The infrared spectrum of a run of molecular dynamics, from the fluctuations of its dipole."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from ase import units

from ase_geomformer.infrared.spectrum import KM_PER_MOL, MOLAR_ABSORPTION
from ase_geomformer.md.analysis.correlation import lags_of, power_spectrum
from ase_geomformer.runs.style import BLUE, PAGE, drawing, dress, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# The square of 1 Å/fs, of an atom of 1 amu, as twice an energy in eV.
_SQUARED_SPEED = (1.0 / units.fs) ** 2


@dataclass(frozen=True, eq=False)
class DipoleSpectrum:
    """Infrared absorption of a trajectory.

    Attributes
    ----------
    wavenumber : array, shape (F,), 1/cm
    absorption : array, shape (F,), L/(mol cm)
        Decadic molar absorption coefficient.
    """

    wavenumber: np.ndarray
    absorption: np.ndarray

    def intensity_km_per_mol(self, low_per_cm: float, high_per_cm: float) -> float:
        """Integrated absorption between two wavenumbers."""
        within = (self.wavenumber >= low_per_cm) & (self.wavenumber < high_per_cm)
        width = self.wavenumber[1] - self.wavenumber[0]
        return float(self.absorption[within].sum() * width / MOLAR_ABSORPTION)

    @drawing
    def plot(self, *, limit_per_cm: float = 4000.0) -> Figure:
        """The spectrum, as a figure apart from pyplot's."""
        figure = new_figure(PAGE, 3.4)
        axes = figure.subplots()
        axes.plot(self.wavenumber, self.absorption, color=BLUE, lw=1.2)
        axes.set_xlim(0.0, min(limit_per_cm, self.wavenumber[-1]))
        axes.set_ylim(bottom=0.0)
        axes.set_xlabel("wavenumber (cm$^{-1}$)")
        axes.set_ylabel("molar absorption (L mol$^{-1}$ cm$^{-1}$)")
        dress(axes)
        return figure


def dipole_spectrum(
    dipoles: np.ndarray,
    interval_fs: float,
    temperature_K: float,
    *,
    max_time_fs: float | None = None,
) -> DipoleSpectrum:
    """Infrared absorption from the autocorrelation of the dipole of an open structure.

    The nuclei are classical, and the absorption is that of the time derivative of the dipole by kT,
    which is exact for harmonic modes (R. Ramírez, T. López-Ciudad, P. Kumar, D. Marx, J. Chem.
    Phys. 121, 3973 (2004)). Its integral over a band is then the intensity of the modes in it, as
    far as they have exchanged energy with the others.

    Parameters
    ----------
    dipoles : array, shape (T, 3)
        e Å, at equally spaced times no further apart than half the period of the fastest
        vibration: 4 fs for C-H.
    interval_fs : float
        Time from frame to frame.
    temperature_K : float
        Of the run.
    max_time_fs : float, optional
        Longest correlation time; peaks are about its inverse wide. A quarter of the trajectory
        when left out.

    Raises
    ------
    ValueError
        If the shape or a number makes no sense, or there are too few frames.
    """
    dipoles = np.asarray(dipoles, dtype=np.float64)
    if dipoles.ndim != 2 or dipoles.shape[1] != 3:
        raise ValueError(f"dipoles have shape {dipoles.shape}, not (frames, 3)")
    if not temperature_K > 0:
        raise ValueError(f"temperature_K must be positive, not {temperature_K} K")
    if not interval_fs > 0:
        raise ValueError(f"interval_fs must be positive, not {interval_fs} fs")
    change = np.diff(dipoles, axis=0) / interval_fs
    lags = lags_of(len(change), interval_fs, max_time_fs)
    frequency_THz, density = power_spectrum(change, interval_fs, lags)
    # A difference over an interval has lost some of what varies fast.
    phase = np.pi * frequency_THz * interval_fs / 1000.0
    density = density * (phase / np.where(phase > 0, np.sin(phase), 1.0)) ** 2
    density[0] = 0.0
    wavenumber = frequency_THz / (units._c * 1e-10)
    by_wavenumber = density * (units._c * 1e-10)
    by_energy = by_wavenumber * _SQUARED_SPEED / (units.kB * temperature_K)
    return DipoleSpectrum(wavenumber, MOLAR_ABSORPTION * KM_PER_MOL * by_energy)
