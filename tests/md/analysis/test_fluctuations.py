"""Response functions of systems whose fluctuations are known."""

from __future__ import annotations

import numpy as np
import pytest
from ase import units

from ase_geomformer.md.analysis import Response, finite_size_correction, fluctuations

ROWS, KELVIN = 20000, 350.0
THERMAL = units.kB * KELVIN


def close(found: Response | None, expected: float) -> None:
    assert found is not None
    assert found.error < 0.03 * expected
    assert abs(found.value - expected) < 4.0 * found.error


def test_heat_capacity_of_harmonic_oscillators() -> None:
    """Each of 2 M squares in the energy holds kT/2, so that the energy has a gamma distribution."""
    modes = 24
    energy = -4209.0 + np.random.default_rng(0).gamma(modes, THERMAL, ROWS)
    found = fluctuations({"total_energy_eV": energy}, KELVIN)
    close(found.heat_capacity_eV_per_K, modes * units.kB)
    assert found.compressibility_per_GPa is None
    assert found.expansion_per_K is None


def test_ideal_gas_at_constant_pressure() -> None:
    """The weight of a volume is V^N exp(-PV/kT): kappa = 1/P, alpha = 1/T, C_P = 5/2 N k."""
    rng, atoms, pressure = np.random.default_rng(1), 50, 0.2
    volume = rng.gamma(atoms + 1, THERMAL / (pressure * units.GPa), ROWS)
    energy = rng.gamma(1.5 * atoms, THERMAL, ROWS)
    log = {"total_energy_eV": energy, "volume_A3": volume}
    found = fluctuations(log, KELVIN, pressure)
    close(found.compressibility_per_GPa, 1.0 / pressure)
    close(found.expansion_per_K, 1.0 / KELVIN)
    close(found.heat_capacity_eV_per_K, (2.5 * atoms + 1.0) * units.kB)


def test_correlated_rows_have_larger_errors() -> None:
    energy = np.random.default_rng(2).gamma(9.0, THERMAL, ROWS)
    alone = fluctuations({"total_energy_eV": energy}, KELVIN).heat_capacity_eV_per_K
    repeated = np.repeat(energy[: ROWS // 16], 16)
    together = fluctuations({"total_energy_eV": repeated}, KELVIN).heat_capacity_eV_per_K
    assert together.error > 2.0 * alone.error


def test_what_cannot_be_told_is_refused() -> None:
    with pytest.raises(ValueError, match="no column volume_A3"):
        fluctuations({"total_energy_eV": np.ones(100)}, KELVIN, 0.1)
    with pytest.raises(ValueError, match="5 rows are too few"):
        fluctuations({"total_energy_eV": np.ones(5)}, KELVIN)
    with pytest.raises(ValueError, match="must be positive"):
        fluctuations({"total_energy_eV": np.ones(100)}, 0.0)
    with pytest.raises(ValueError, match="side_A = 0 must be positive"):
        finite_size_correction(300.0, 0.9, 0)


def test_diffusion_of_water_in_a_box_of_512_molecules() -> None:
    """With 0.89 mPa s, 298.15 K and 24.8 Å by hand: 2.837297 x 4.1164e-21 J / (6 pi eta L)."""
    drag = 6 * np.pi * 0.89e-3 * 24.8e-10
    expected = 2.837297 * 4.1164e-21 / drag * 1e8
    assert finite_size_correction(298.15, 0.89, 24.8) == pytest.approx(expected, rel=1e-4)
    assert finite_size_correction(298.15, 0.89, 49.6) == pytest.approx(0.5 * expected, rel=1e-4)
