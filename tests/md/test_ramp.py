"""A target temperature that changes on the way."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT

from ase_geomformer.md import ENSEMBLES, MDSettings, run_md

RAMP = MDSettings(
    temperature_K=100.0, temperature_end_K=900.0, timestep_fs=4.0, steps=1500, seed=1,
    friction_per_fs=0.05, thermostat_time_fs=40.0, log_interval=2,
)  # fmt: skip


@pytest.mark.parametrize("ensemble", [name for name in ENSEMBLES if name.startswith("nvt")])
def test_thermostats_follow(ensemble: str, cluster: Atoms, springs: Any) -> None:
    log = run_md(cluster, springs, replace(RAMP, ensemble=ensemble), progress=False).log
    for first, target in ((250, 300.0), (750, 567.0), (1250, 833.0)):
        there = (log["step"] >= first) & (log["step"] < first + 250)
        assert log["temperature_K"][there].mean() == pytest.approx(target, rel=0.35)
    # Of the work of the thermostat, 0.6 eV, nothing is taken for drift.
    assert np.ptp(log["total_energy_eV"]) > 0.5
    assert np.ptp(log["conserved_energy_eV"]) < 0.05


@pytest.mark.parametrize("ensemble", [name for name in ENSEMBLES if name.startswith("npt")])
def test_under_pressure_too(ensemble: str) -> None:
    settings = replace(RAMP, ensemble=ensemble, timestep_fs=5.0, steps=200)
    log = run_md(bulk("Cu", cubic=True), EMT(), settings, progress=False).log
    assert log["temperature_K"][log["step"] > 160].mean() > 2.0 * log["temperature_K"][:10].mean()
    if "conserved_energy_eV" in log:
        assert np.ptp(log["conserved_energy_eV"]) < 0.05 * np.ptp(log["total_energy_eV"])


def test_the_ramp_is_a_straight_line() -> None:
    assert RAMP.target_temperature_K(0) == 100.0
    assert RAMP.target_temperature_K(750) == 500.0
    assert RAMP.target_temperature_K(1500) == 900.0
    assert MDSettings(temperature_K=77.0).target_temperature_K(5) == 77.0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"temperature_end_K": 0.0}, "temperature_end_K = 0.0 must be positive"),
        ({"temperature_end_K": float("nan")}, "must be a finite number"),
        ({"ensemble": "nve"}, "must be left out, because nve has no thermostat"),
    ],
)
def test_impossible_ramps(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(RAMP, **changes)
