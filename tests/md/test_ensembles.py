from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from ase import Atoms, units
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.constraints import FixAtoms

from ase_geomformer.md import ENSEMBLES, MDSettings, run_md
from ase_geomformer.md.simulation import begin

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


@pytest.mark.parametrize("barostat", ["isotropic", "full", "axes"])
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


class Bare(EMT):
    """A calculator without free energy."""

    implemented_properties: ClassVar[list[str]] = ["energy", "forces", "stress"]


class Stressless(EMT):
    """A calculator without stress."""

    implemented_properties: ClassVar[list[str]] = ["energy", "free_energy", "forces"]


@pytest.mark.parametrize("ensemble", BAROSTATS)
def test_barostats_need_the_stress(ensemble: str, copper: Atoms, tmp_path: Path) -> None:
    run = tmp_path / "run"
    with pytest.raises(ValueError, match="does not give; take an nvt ensemble"):
        run_md(copper, Stressless(), MDSettings(ensemble=ensemble), output=run, progress=False)
    assert not run.exists()


@pytest.mark.parametrize("barostat", ["isotropic", "full"])
@pytest.mark.parametrize("calculator", [EMT, Bare])
def test_mtk_needs_no_free_energy(barostat: Any, calculator: type, copper: Atoms) -> None:
    settings = MDSettings(ensemble="npt-mtk", barostat=barostat, timestep_fs=2.0, steps=3)
    simulation = begin(copper, calculator(), settings)
    simulation.dynamics.run(3)
    own = simulation.atoms.calc = EMT()
    assert "free_energy" in own.implemented_properties
    assert simulation.conserved_energy() == pytest.approx(
        simulation.dynamics.get_conserved_energy(), abs=1e-12
    )


@pytest.mark.parametrize("ensemble", BAROSTATS)
def test_barostats_refuse_constraints(ensemble: str, copper: Atoms) -> None:
    copper.set_constraint(FixAtoms([0]))
    with pytest.raises(ValueError, match="constraints"):
        run_md(copper, EMT(), MDSettings(ensemble=ensemble), progress=False)


@pytest.mark.parametrize(("fixed", "free"), [("", "abc"), ("c", "ab"), ("ab", "c"), ("ac", "b")])
def test_fixed_axes_stay(fixed: str, free: str, copper: Atoms) -> None:
    copper.set_cell(0.97 * copper.cell, scale_atoms=True)
    settings = MDSettings(
        ensemble="npt-mtk", barostat="axes", fixed_axes=fixed, timestep_fs=2.0, steps=60,
        barostat_time_fs=200.0,
    )  # fmt: skip
    result = run_md(copper, EMT(), settings, progress=False)
    before, after = copper.cell.array, result.atoms.cell.array
    changes = dict(zip("abc", np.linalg.norm(after - before, axis=1), strict=True))
    assert all(changes[axis] == 0.0 for axis in fixed)
    assert all(changes[axis] > 0.02 for axis in free)
    np.testing.assert_allclose(result.atoms.cell.angles(), 90.0, atol=1e-9)
    assert result.averages["conserved_energy_eV"].std < 0.01


def test_axes_at_odd_angles_are_refused() -> None:
    slab = bulk("Mg")  # a and b at 120 degrees, c normal to both
    settings = MDSettings(ensemble="npt-mtk", barostat="axes", timestep_fs=2.0, steps=4)
    with pytest.raises(ValueError, match="normal to the others, and a is not"):
        run_md(slab, EMT(), settings, progress=False)


@pytest.mark.parametrize(("barostat", "motions"), [("isotropic", 1), ("full", 6), ("axes", 3)])
def test_the_barostat_counts_the_motions_of_the_cell(
    barostat: str, motions: int, copper: Atoms
) -> None:
    settings = MDSettings(ensemble="npt-mtk", barostat=barostat)
    copper.calc = EMT()
    dynamics = ENSEMBLES["npt-mtk"].build(copper, settings, np.random.default_rng(), 9)
    period = settings.barostat_time_fs * units.fs
    energy = dynamics._barostat.get_barostat_energy
    before = energy()
    dynamics._barostat._xi[0] += 1.0
    assert energy() - before == pytest.approx(motions * units.kB * 300.0)
    per_motion = 9 if barostat == "isotropic" else motions  # MTK's choice of the mass
    assert dynamics._barostat._R[0] == pytest.approx(per_motion * units.kB * 300.0 * period**2)


def test_langevin_steps_are_those_of_ase(cluster: Atoms, springs: Any) -> None:
    """With the same noise, to rounding; the heat is what the noise and friction brought."""
    from ase.md.langevinbaoab import LangevinBAOAB

    from ase_geomformer.md.langevin import MeteredLangevin

    runs = []
    for kind in (LangevinBAOAB, MeteredLangevin):
        atoms = cluster.copy()
        atoms.calc = springs
        atoms.set_momenta(np.random.default_rng(1).normal(size=(len(atoms), 3)))
        dynamics = kind(
            atoms,
            2.0 * units.fs,
            temperature_K=300.0,
            T_tau=50.0 * units.fs,
            rng=np.random.default_rng(2),
            hydrostatic=True,
        )
        before = atoms.get_total_energy()
        dynamics.run(50)
        runs.append((atoms, before))
    (expected, _), (found, before) = runs
    np.testing.assert_allclose(found.positions, expected.positions, atol=1e-11)
    np.testing.assert_allclose(found.get_momenta(), expected.get_momenta(), atol=1e-9)
    np.testing.assert_array_equal(dynamics.accel, found.get_forces() / dynamics.masses)
    brought = found.get_total_energy() - before
    assert abs(brought) > 0.1
    assert dynamics.heat == pytest.approx(brought, abs=0.02)
