"""Green-Kubo integrals of processes whose integrals are known."""

from __future__ import annotations

import numpy as np
import pytest
from ase import units

from ase_geomformer.md.analysis import Frames, mean_square_displacement
from ase_geomformer.md.analysis.transport import (
    check_charges,
    conductivity,
    integrate,
    nernst_einstein,
    viscosity,
)

TAU_FS, INTERVAL_FS = 40.0, 4.0


def decaying(
    rng: np.random.Generator, number: int, rows: int, tau_fs: float = TAU_FS
) -> np.ndarray:
    """Gaussian processes (n, T) of variance 1 whose correlation falls as exp(-t / tau)."""
    kept = np.exp(-INTERVAL_FS / tau_fs)
    values = rng.normal(size=(number, rows))
    values[:, 1:] *= np.sqrt(1 - kept**2)
    for row in range(1, rows):
        values[:, row] += kept * values[:, row - 1]
    return values


@pytest.fixture
def ions(rng: np.random.Generator) -> Frames:
    """Ions of charge ±1 whose velocities decay independently of each other."""
    velocities = 1e-3 * decaying(rng, 20 * 3, 4000).reshape(20, 3, 4000).transpose(2, 0, 1)
    positions = velocities.cumsum(axis=0) * INTERVAL_FS
    return Frames(
        np.repeat([11, 17], 10), np.full(20, 30.0), positions, velocities,
        np.tile(12.0 * np.eye(3), (4000, 1, 1)), np.ones(3, bool), INTERVAL_FS,
    )  # fmt: skip


def test_an_integral_needs_its_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ase_geomformer.md.analysis.transport.find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"pip install 'ase-geomformer\[transport\]'"):
        integrate(np.ones((3, 1000)), 1.0, 1.0, "")


def test_viscosity_of_a_pressure_that_forgets(rng: np.random.Generator) -> None:
    """eta = V/kT times variance and correlation time; by hand in SI units."""
    pytest.importorskip("stacie")
    parts = 0.05 * decaying(rng, 5, 12000)
    yz, xz, xy, difference, along = parts
    trace = 0.3
    # 0.5 (xx - yy) = difference and (2 zz - xx - yy) / sqrt(12) = along.
    zz = trace + along / np.sqrt(3) * 2
    xx, yy = trace - along / np.sqrt(3) + difference, trace - along / np.sqrt(3) - difference
    pressure = np.stack([xx, yy, zz, yz, xz, xy], axis=1)
    found = viscosity(pressure, 5000.0, 300.0, INTERVAL_FS)
    expected = 5e-27 / (1.380649e-23 * 300.0) * (0.05e9) ** 2 * 40e-15 * 1e3
    assert found.unit == "mPa s"
    assert found.error < 0.15 * expected
    assert abs(found.value - expected) < 4 * found.error
    late = np.searchsorted(found.time_ps, 0.3)
    assert abs(found.running[late] - expected) < 5 * found.spread[late]
    assert found.running[0] == 0.0
    with pytest.raises(ValueError, match="are too few"):
        viscosity(pressure[:50], 5000.0, 300.0, INTERVAL_FS)


def test_a_slow_tail_is_not_missed(rng: np.random.Generator) -> None:
    """Most of the correlation is gone soon, and a third of its integral comes later."""
    pytest.importorskip("stacie")
    fast, slow = 24.0, 200.0
    rows = np.sqrt(2.0 / fast) * decaying(rng, 5, 12000, fast)
    rows += np.sqrt(1.0 / slow) * decaying(rng, 5, 12000, slow)
    found = integrate(rows, INTERVAL_FS, 1.0, "")
    assert abs(found.value - 3.0) < 3 * found.error
    assert found.error < 0.5


def test_conductivity_of_independent_ions(ions: Frames) -> None:
    """sigma = N q^2 D / (V kT) with D = variance times correlation time, by hand in SI units."""
    pytest.importorskip("stacie")
    charges = {"Na": 1.0, "Cl": -1.0}
    found = conductivity(ions, charges, 1000.0)
    diffusion = (1e-3 * 1e5) ** 2 * 40e-15  # m^2/s, of velocities of 1e-3 Å/fs
    expected = 20 * 1.602176634e-19**2 * diffusion / (12e-10**3 * 1.380649e-23 * 1000.0)
    assert abs(found.value - expected) < 4 * found.error
    assert found.error < 0.4 * expected
    twice = conductivity(ions, {"Na": 2.0, "Cl": -2.0}, 1000.0)
    assert twice.value == pytest.approx(4 * found.value, rel=1e-3)


def test_nernst_einstein_by_hand(ions: Frames) -> None:
    each = {name: mean_square_displacement(ions, name, remove_drift=False) for name in ("Na", "Cl")}
    value, error = nernst_einstein(ions, {"Na": 1.0, "Cl": -1.0}, 1000.0, each)
    slow, fast = (each[name].diffusion_A2_per_ps * 1e-8 for name in ("Na", "Cl"))
    factor = 1.602176634e-19**2 / (12e-10**3 * 1.380649e-23 * 1000.0)
    assert value == pytest.approx(10 * (slow + fast) * factor, rel=1e-6)
    assert 0 < error < value
    assert value == pytest.approx(20 * factor * (1e-3 * 1e5) ** 2 * 40e-15, abs=4 * error)
    assert units._e == pytest.approx(1.602176634e-19)


def test_charges_must_fit() -> None:
    for charges in ({}, {"Na": 1.0}, {"Na": 1.0, "Cl": -1.0, "K": 1.0}):
        with pytest.raises(ValueError, match="the trajectory has Cl, Na"):
            check_charges(np.array([11, 17]), charges)
