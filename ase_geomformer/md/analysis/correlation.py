"""Autocorrelations and the power spectra that are their cosine transforms."""

from __future__ import annotations

import numpy as np

# Fewer lags have no spectrum.
FEWEST_LAGS = 4


def autocorrelation(values: np.ndarray) -> np.ndarray:
    """Autocorrelation (T,) of arrays (T, ...), summed over their entries, over all origins."""
    length = len(values)
    spectrum = np.abs(np.fft.rfft(values.reshape(length, -1), n=2 * length, axis=0)) ** 2
    summed = np.fft.irfft(spectrum.sum(axis=1), n=2 * length)[:length]
    result: np.ndarray = summed / (length - np.arange(length))
    return result


def lags_of(length: int, interval_fs: float, max_time_fs: float | None) -> int:
    """Number of lags up to a longest time, or over a quarter of the trajectory.

    Raises
    ------
    ValueError
        If the trajectory is too short.
    """
    lags = length // 4 if max_time_fs is None else round(max_time_fs / interval_fs)
    if not FEWEST_LAGS <= lags <= length:
        raise ValueError(
            f"{length} frames are too few for correlation over {lags} of them; {FEWEST_LAGS} at "
            "least are needed"
        )
    return lags


def cosine_transform(correlation: np.ndarray, interval_fs: float) -> tuple[np.ndarray, np.ndarray]:
    """Frequencies in THz and the cosine transform (F,) of a correlation (L,), by THz.

    Its sum, times the spacing of the frequencies, is the correlation at time 0.
    """
    lags = len(correlation)
    # The window takes the end to zero smoothly, so that peaks have no ripples beside them.
    windowed = correlation * np.hanning(2 * lags + 1)[lags : 2 * lags]
    mirrored = np.concatenate([windowed, [0.0], windowed[:0:-1]])
    frequency = np.fft.rfftfreq(len(mirrored), interval_fs / 1000.0)
    spectrum = np.fft.rfft(mirrored).real
    density: np.ndarray = spectrum * (correlation[0] / (spectrum.sum() * frequency[1]))
    return frequency, density


def power_spectrum(
    values: np.ndarray, interval_fs: float, lags: int
) -> tuple[np.ndarray, np.ndarray]:
    """Frequencies in THz and the power spectrum (F,) of arrays (T, ...), by THz.

    Its sum, times the spacing of the frequencies, is the mean square of the arrays.

    Parameters
    ----------
    values : array, shape (T, ...)
    interval_fs : float
        From one to the next.
    lags : int
        See :func:`lags_of`.
    """
    correlation = autocorrelation(values)[:lags]
    if not correlation[0] > 0:
        raise ValueError("the values do not vary, so that they have no spectrum")
    return cosine_transform(correlation, interval_fs)
