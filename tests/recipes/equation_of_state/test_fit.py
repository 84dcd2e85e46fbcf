from __future__ import annotations

import numpy as np
import pytest
from ase import units
from ase.eos import birchmurnaghan

from ase_geomformer.recipes.equation_of_state.fit import EQUATIONS, fit, fit_all


def test_a_fit_finds_the_curve_it_was_given() -> None:
    volumes = np.linspace(36.0, 44.0, 11)
    bulk_modulus, derivative = 140.0 * units.GPa, 4.7
    energies = birchmurnaghan(volumes, -1000.0, bulk_modulus, derivative, 40.3)
    found = fit(volumes, energies, "birchmurnaghan")
    assert found.volume_A3 == pytest.approx(40.3, abs=1e-6)
    assert found.energy_eV == pytest.approx(-1000.0, abs=1e-8)
    assert found.bulk_modulus_GPa == pytest.approx(140.0, abs=1e-4)
    assert found.bulk_modulus_derivative == pytest.approx(4.7, abs=1e-4)
    assert found.rms_residual_meV < 1e-5
    others = fit_all(volumes, energies)
    assert set(others) == set(EQUATIONS)
    for other in others.values():
        assert other.bulk_modulus_GPa == pytest.approx(140.0, rel=0.03)


def test_standard_errors_cover_the_scatter() -> None:
    # Of many fits to noisy energies, the spread is what each of them says it is.
    volumes = np.linspace(36.0, 44.0, 11)
    exact = birchmurnaghan(volumes, -5.0, 140.0 * units.GPa, 4.7, 40.3)
    rng = np.random.default_rng(0)
    fits = [
        fit(volumes, exact + rng.normal(scale=1e-4, size=11), "birchmurnaghan") for _ in range(60)
    ]
    for name, error in (
        ("volume_A3", "volume_error_A3"),
        ("bulk_modulus_GPa", "bulk_modulus_error_GPa"),
        ("bulk_modulus_derivative", "bulk_modulus_derivative_error"),
    ):
        spread = np.std([getattr(found, name) for found in fits])
        claimed = np.sqrt(np.mean([getattr(found, error) ** 2 for found in fits]))
        assert claimed == pytest.approx(spread, rel=0.3)
