"""Velocity autocorrelation and the vibrations in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ase_geomformer.md.analysis.correlation import autocorrelation, cosine_transform, lags_of
from ase_geomformer.md.analysis.frames import Frames
from ase_geomformer.runs.style import BLUE, COLUMN, drawing, dress, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Speed of light: one THz in 1/cm.
_WAVENUMBER_PER_THZ = 33.35640951981521


@dataclass(frozen=True, eq=False)
class VACF:
    """Velocity autocorrelation and its spectrum.

    Attributes
    ----------
    time_fs : array (L,)
    vacf : array (L,)
        ``sum_i m_i <v_i(0) . v_i(t)>``, relative to its value at time 0.
    frequency_THz : array (F,)
    density_of_states : array (F,), 1/THz
        Vibrational density of states: cosine transform of the autocorrelation, with integral 1.
    """

    time_fs: np.ndarray
    vacf: np.ndarray
    frequency_THz: np.ndarray
    density_of_states: np.ndarray

    @property
    def wavenumber(self) -> np.ndarray:
        """Frequencies in 1/cm."""
        return self.frequency_THz * _WAVENUMBER_PER_THZ

    @drawing
    def plot(self) -> Figure:
        """The density of states, as a figure apart from pyplot's."""
        figure = new_figure(COLUMN, 2.6)
        axes = figure.subplots()
        axes.plot(self.wavenumber, self.density_of_states, color=BLUE)
        axes.set_xlabel("wavenumber (1/cm)")
        axes.set_ylabel("density of states (1/THz)")
        dress(axes)
        return figure


def velocity_autocorrelation(
    frames: Frames, element: str | None = None, *, max_time_fs: float | None = None
) -> VACF:
    """Autocorrelation of velocities, weighted with mass, and the density of states.

    Parameters
    ----------
    frames : Frames
        Spaced by no more than half the period of the fastest vibration: 4 fs for C-H.
    element : str, optional
        All atoms when left out.
    max_time_fs : float, optional
        Longest correlation time; peaks are about its inverse wide. A quarter of the trajectory
        when left out.

    Raises
    ------
    ValueError
        If there is no such element, or the trajectory is too short.
    """
    lags = lags_of(len(frames), frames.interval_fs, max_time_fs)
    chosen = frames.select(element)
    weighted = frames.velocities[:, chosen] * np.sqrt(frames.masses[chosen])[:, None]
    vacf = autocorrelation(weighted)[:lags]
    if vacf[0] <= 0:
        raise ValueError("the atoms do not move; the trajectory has no velocities")
    vacf = vacf / vacf[0]
    frequency, density = cosine_transform(vacf, frames.interval_fs)
    return VACF(np.arange(lags) * frames.interval_fs, vacf, frequency, density)
