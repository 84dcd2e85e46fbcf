"""Intensities and broadened spectra, against numbers that are known otherwise."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.figure import Figure

from ase_geomformer.infrared import broadened, intensities
from ase_geomformer.infrared.spectrum import KM_PER_MOL, MOLAR_ABSORPTION, plot

pytestmark = pytest.mark.quick


def test_units() -> None:
    """1 (debye/Å)^2/amu is 42.2561 km/mol; the band of 1 km/mol has 43.43 L/(mol cm) by 1/cm."""
    debye = 0.2081943  # e Å
    assert KM_PER_MOL * debye**2 == pytest.approx(42.2561, rel=1e-5)
    assert pytest.approx(43.4294, rel=1e-5) == MOLAR_ABSORPTION


def test_two_charges_on_a_spring() -> None:
    """The dipole changes by q per Å of distance, the mass is the reduced one."""
    charge, masses = 0.4, np.array([1.0, 19.0])
    tensors = charge * np.array([1.0, -1.0])[:, None, None] * np.eye(3)
    reduced = masses.prod() / masses.sum()
    moves = np.zeros((1, 2, 3))
    moves[0, :, 2] = np.array([1.0, -1.0]) * reduced / masses
    length = np.linalg.norm(moves)
    found = intensities(tensors, moves / length, np.array([reduced / length**2]))
    assert found[0] == pytest.approx(KM_PER_MOL * charge**2 / reduced, rel=1e-12)


def test_bands_have_the_area_and_width_of_their_modes() -> None:
    grid = np.arange(-20000.0, 24000.0, 0.25)
    found = broadened(grid, np.array([-300.0, 1500.0]), np.array([50.0, 80.0]), 8.0)
    area = found.sum() * 0.25
    assert area == pytest.approx(80.0 * MOLAR_ABSORPTION, rel=1e-3)
    above = grid[found > 0.5 * found.max()]
    assert np.ptp(above) == pytest.approx(8.0, abs=0.5)
    assert above.mean() == pytest.approx(1500.0, abs=0.2)


def test_the_figure_names_units() -> None:
    figure = plot(np.array([-50.0, 1000.0, 3000.0]), np.array([1.0, 2.0, 3.0]), "title")
    assert isinstance(figure, Figure)
    labels = {axes.get_ylabel() for axes in figure.axes}
    assert labels == {"molar absorption (L mol$^{-1}$ cm$^{-1}$)", "intensity (km mol$^{-1}$)"}
    assert figure.axes[0].get_xlabel() == "wavenumber (cm$^{-1}$)"
