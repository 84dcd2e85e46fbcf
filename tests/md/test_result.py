"""What the table of a run says: means, how sure they are, and over what they are taken."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from ase.build import bulk
from ase.calculators.emt import EMT

from ase_geomformer.md import MDSettings, run_md
from ase_geomformer.md.figure import plot
from ase_geomformer.md.result import averages, suggested_equilibration

ROWS = 4000


def correlated(rng: np.random.Generator, correlation: float) -> np.ndarray:
    """An autoregressive series of unit variance; its mean has a known error."""
    noise, values = rng.normal(size=ROWS), np.zeros(ROWS)
    for row in range(1, ROWS):
        values[row] = correlation * values[row - 1] + np.sqrt(1 - correlation**2) * noise[row]
    return values


@pytest.mark.parametrize("correlation", [0.0, 0.9])
def test_errors_of_means_know_the_correlation(rng: np.random.Generator, correlation: float) -> None:
    log = {"step": np.arange(ROWS), "temperature_K": 300.0 + 10.0 * correlated(rng, correlation)}
    found = averages(log, 0)["temperature_K"]
    inefficiency = (1 + correlation) / (1 - correlation)
    assert found.std == pytest.approx(10.0, rel=0.2)
    assert found.error == pytest.approx(10.0 * np.sqrt(inefficiency / ROWS), rel=0.45)


def test_equilibration_is_found(rng: np.random.Generator) -> None:
    step = 10 * np.arange(ROWS)
    still = {"step": step, "potential_energy_eV": correlated(rng, 0.5)}
    falling = {
        **still,
        "potential_energy_eV": still["potential_energy_eV"] + 20 * np.exp(-step / 2000),
    }
    assert (suggested_equilibration(still) or 0) <= 0.25 * step[-1]
    assert 2000 <= (suggested_equilibration(falling) or 0) <= 15000
    assert suggested_equilibration({name: values[:50] for name, values in still.items()}) is None


def test_the_table_tells_over_what_is_averaged() -> None:
    settings = MDSettings(steps=20, log_interval=2, timestep_fs=2.0, equilibration_steps=10)
    result = run_md(bulk("Cu", cubic=True), EMT(), settings, progress=False)
    rows = {label: (value, unit) for label, value, unit in result.rows()}
    assert rows["mean ± standard error"] == ("from 0.02 to 0.04", "ps")
    kelvin = result.averages["temperature_K"]
    expected = f"{kelvin.mean:.1f} ± {kelvin.error:.1f}, std {kelvin.std:.1f}"
    assert rows["temperature"] == (expected, "K")
    assert "suggested equilibration_steps" not in rows
    better = replace(result, suggested_equilibration_steps=14)
    assert ("suggested equilibration_steps", "14", "") in better.rows()
    assert result.summary()["averages"]["temperature_K"].error == kelvin.error


def test_a_single_row_is_seen() -> None:
    log = {name: np.array([1.0]) for name in ("step", "time_fs", "temperature_K")}
    log["potential_energy_eV"] = np.array([2.0])
    for axes in plot(log, MDSettings()).axes:
        assert axes.lines[0].get_marker() == "o"
