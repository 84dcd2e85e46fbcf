"""The infrared spectrum of a run, against the intensities of its harmonic modes."""

from __future__ import annotations

import numpy as np
import pytest
from ase import units
from matplotlib.figure import Figure

from ase_geomformer.infrared.spectrum import KM_PER_MOL
from ase_geomformer.md.analysis import dipole_spectrum

pytestmark = pytest.mark.quick
KELVIN = 300.0


def path(frequency_THz: float, slope: float, interval_fs: float, frames: int) -> np.ndarray:
    """Dipole (T, 3) of a mode with energy kT whose dipole changes by ``slope`` e/amu^(1/2)."""
    angular = 2.0 * np.pi * frequency_THz / 1000.0  # 1/fs
    amplitude = np.sqrt(2.0 * units.kB * KELVIN) * units.fs / angular  # Å amu^(1/2)
    time = interval_fs * np.arange(frames)
    dipole = np.zeros((frames, 3))
    dipole[:, 1] = slope * amplitude * np.cos(angular * time + 0.4)
    return dipole


@pytest.mark.parametrize("interval_fs", [0.5, 2.0, 4.0])
def test_bands_have_the_intensity_of_their_modes(interval_fs: float) -> None:
    """Also of fast modes in few frames, of which finite differences see less."""
    frames = int(20000.0 / interval_fs)
    modes = {30.0: 0.2, 90.0: 0.1}
    dipoles = sum(path(f, slope, interval_fs, frames) for f, slope in modes.items())
    found = dipole_spectrum(dipoles + [5.0, 0.0, -3.0], interval_fs, KELVIN)
    for frequency, slope in modes.items():
        centre = frequency * 33.35641
        near = np.abs(found.wavenumber - centre) < 300.0
        peak = found.wavenumber[near][found.absorption[near].argmax()]
        assert peak == pytest.approx(centre, abs=5.0)
        area = found.intensity_km_per_mol(centre - 300.0, centre + 300.0)
        assert area == pytest.approx(KM_PER_MOL * slope**2, rel=0.02)
    assert isinstance(found.plot(), Figure)


def test_what_is_refused() -> None:
    dipoles = path(30.0, 0.1, 1.0, 100)
    for arguments, message in (
        ((dipoles[:, :2], 1.0, KELVIN), r"shape \(100, 2\)"),
        ((dipoles, 0.0, KELVIN), "interval_fs must be positive"),
        ((dipoles, 1.0, 0.0), "temperature_K must be positive"),
        ((dipoles[:10], 1.0, KELVIN), "too few"),
        ((np.ones((100, 3)), 1.0, KELVIN), "do not vary"),
    ):
        with pytest.raises(ValueError, match=message):
            dipole_spectrum(*arguments)
