from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from ase import Atoms, units
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.constraints import FixAtoms

from ase_geomformer.md import ENSEMBLES, MDSettings, run_md

THERMOSTATS = [name for name in ENSEMBLES if name.startswith("nvt")]
BAROSTATS = [name for name in ENSEMBLES if name.startswith("npt")]


@pytest.fixture
def copper() -> Atoms:
    return bulk("Cu", cubic=True)


@pytest.mark.parametrize("ensemble", ENSEMBLES)
def test_every_ensemble_runs(ensemble: str, copper: Atoms) -> None:
    settings = MDSettings(ensemble=ensemble, timestep_fs=2.0, steps=20, log_interval=1)
    result = run_md(copper, EMT(), settings, progress=False)
    assert result.completed
    assert result.steps == 20
    assert len(result.log["step"]) == 21
    assert all(np.isfinite(column).all() for column in result.log.values())
    assert np.abs(result.atoms.positions - copper.positions).max() > 1e-3


@pytest.mark.parametrize("ensemble", THERMOSTATS)
def test_thermostats_sample_the_canonical_ensemble(
    ensemble: str, cluster: Atoms, springs: Any
) -> None:
    # So few atoms that counting three motions for each, drift included, would be 33% too hot.
    settings = MDSettings(
        ensemble=ensemble,
        temperature_K=300.0,
        timestep_fs=4.0,
        steps=7000,
        friction_per_fs=0.05,
        thermostat_time_fs=25.0,
        equilibration_steps=500,
        log_interval=4,
        seed=3,
    )
    result = run_md(cluster, springs, settings, progress=False)
    temperature = result.averages["temperature_K"]
    assert temperature.mean == pytest.approx(300.0, rel=0.12)
    canonical = 300.0 * np.sqrt(2.0 / result.degrees_of_freedom)
    assert temperature.std == pytest.approx(canonical, rel=0.2)
    vibrations = 3 * len(cluster) - 3
    equipartition = vibrations * units.kB * 300.0
    assert np.mean(springs.virials[500:]) == pytest.approx(equipartition, rel=0.15)


def test_the_default_friction_thermostats(cluster: Atoms, springs: Any) -> None:
    # From rest, within 8 ps.
    cluster.set_momenta(1e-6 * np.eye(4, 3))
    settings = MDSettings(timestep_fs=4.0, steps=2000, equilibration_steps=200)
    result = run_md(cluster, springs, settings, progress=False)
    assert result.averages["temperature_K"].mean == pytest.approx(300.0, rel=0.2)


def test_constant_energy_is_of_second_order(copper: Atoms) -> None:
    spreads = []
    for timestep_fs in (4.0, 2.0):
        settings = MDSettings(
            ensemble="nve", timestep_fs=timestep_fs, steps=int(400 / timestep_fs), log_interval=1
        )
        result = run_md(copper, EMT(), settings, progress=False)
        spreads.append(result.averages["total_energy_eV"].std)
        assert result.averages["potential_energy_eV"].std > 20 * spreads[-1]
    assert spreads[0] / spreads[1] == pytest.approx(4.0, rel=0.3)


@pytest.mark.parametrize("ensemble", [name for name in ENSEMBLES if ENSEMBLES[name].conserved])
def test_the_conserved_energy_is_conserved(ensemble: str, copper: Atoms) -> None:
    settings = MDSettings(
        ensemble=ensemble,
        timestep_fs=1.0,
        steps=300,
        thermostat_time_fs=50.0,
        barostat_time_fs=200.0,
        log_interval=5,
    )
    result = run_md(copper, EMT(), settings, progress=False)
    conserved = result.averages["conserved_energy_eV"].std
    assert result.averages["potential_energy_eV"].std > 30 * conserved
    assert result.drift_meV_per_atom_per_ps is not None
    assert abs(result.drift_meV_per_atom_per_ps) < 3.0


def test_drift_is_not_made_up(copper: Atoms) -> None:
    settings = MDSettings(ensemble="npt-berendsen", steps=30, log_interval=1)
    assert run_md(copper, EMT(), settings, progress=False).drift_meV_per_atom_per_ps is None


@pytest.mark.parametrize("barostat", ["isotropic", "full"])
@pytest.mark.parametrize("ensemble", BAROSTATS)
def test_a_compressed_crystal_expands(ensemble: str, barostat: str, copper: Atoms) -> None:
    copper.set_cell(0.97 * copper.cell, scale_atoms=True)
    settings = MDSettings(
        ensemble=ensemble,
        barostat=barostat,
        timestep_fs=2.0,
        steps=100,
        barostat_time_fs=200.0,
        log_interval=1,
    )
    log = run_md(copper, EMT(), settings, progress=False).log
    assert log["pressure_GPa"][0] > 5.0
    assert log["volume_A3"].max() > 1.02 * log["volume_A3"][0]


@pytest.mark.parametrize("ensemble", BAROSTATS)
def test_barostats_need_a_volume(ensemble: str, ethanol: Atoms) -> None:
    with pytest.raises(ValueError, match="periodic in three directions"):
        run_md(ethanol, EMT(), MDSettings(ensemble=ensemble), progress=False)


@pytest.mark.parametrize("ensemble", BAROSTATS)
def test_barostats_refuse_constraints(ensemble: str, copper: Atoms) -> None:
    copper.set_constraint(FixAtoms([0]))
    with pytest.raises(ValueError, match="constraints"):
        run_md(copper, EMT(), MDSettings(ensemble=ensemble), progress=False)
