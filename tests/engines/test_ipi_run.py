"""Path-integral runs: theory of the harmonic oscillator, restarts, files and refusals."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pytest
from ase import Atoms, units
from ase.build import bulk, fcc111, molecule
from ase.calculators.calculator import Calculator
from ase.calculators.emt import EMT
from ase.constraints import FixAtoms
from ase.io import read

from ase_geomformer.calculator import PotentialCalculator
from ase_geomformer.cli import main
from ase_geomformer.engines.ipi import PathIntegralSettings, path_integrals
from ase_geomformer.engines.ipi.result import heat_capacity
from ase_geomformer.engines.ipi.simulation import RingPolymer
from ase_geomformer.evaluate import as_evaluator

pytest.importorskip("ipi", reason="i-PI is not installed")

ETHANOL = "so3krates-rmd17-ethanol"
TEMPERATURE = 300.0
THERMAL = units.kB * TEMPERATURE
HBAR = units._hbar * units.J * units.s
MASSES = (1.008, 15.999)
REDUCED = 1.0 / sum(1.0 / mass for mass in MASSES)
PAIRS, BEADS = 10, 8
# Five times kT, so that the nuclei are far from classical.
FREQUENCY = 5.0 * THERMAL / HBAR


class Springs:
    """Pairs of atoms on springs of no length, which are harmonic: an evaluator, all at once."""

    def __init__(self) -> None:
        self.calculator = Calculator()
        self.batches: list[int] = []

    def __call__(
        self, structures: Iterable[Atoms], properties: Sequence[str] = (), *, progress: bool = False
    ) -> list[dict[str, Any]]:
        structures = list(structures)
        self.batches.append(len(structures))
        place = np.array([atoms.positions for atoms in structures])
        stretch = place[:, 1::2] - place[:, ::2]
        stiffness = REDUCED * FREQUENCY**2
        energies = 0.5 * stiffness * (stretch**2).sum(axis=(1, 2))
        forces = np.empty_like(place)
        forces[:, ::2], forces[:, 1::2] = stiffness * stretch, -stiffness * stretch
        return [
            {"energy": float(energy), "forces": force}
            for energy, force in zip(energies, forces, strict=True)
        ]


def pairs() -> Atoms:
    place = np.repeat(np.arange(PAIRS)[:, None] * [3.0, 0.0, 0.0], 2, axis=0)
    return Atoms("HO" * PAIRS, place, masses=MASSES * PAIRS)


def energy_of_a_mode(temperature: float, beads: int) -> float:
    """Of a harmonic mode on a ring of beads, eV, kinetic and potential energy alike half of it."""
    thermal = units.kB * temperature
    ring = 2.0 * beads * thermal / HBAR * np.sin(np.arange(beads) * np.pi / beads)
    return float(thermal * (FREQUENCY**2 / (FREQUENCY**2 + ring**2)).sum())


def test_many_beads_are_the_quantum_oscillator():
    exact = 0.5 * HBAR * FREQUENCY / np.tanh(0.5 * HBAR * FREQUENCY / THERMAL)
    assert energy_of_a_mode(TEMPERATURE, 10_000) == pytest.approx(exact, rel=1e-5)


@pytest.fixture(scope="module")
def sampled():
    settings = PathIntegralSettings(
        beads=BEADS, temperature_K=TEMPERATURE, timestep_fs=0.5, steps=2000,
        equilibration_steps=200, log_interval=4, thermostat_time_fs=20.0, heat_capacity=True,
    )  # fmt: skip
    springs = Springs()
    return path_integrals(pairs(), springs, settings, progress=False), springs


class TestHarmonic:
    def test_kinetic_energy_is_that_of_theory(self, sampled):
        result, _ = sampled
        modes = 3 * PAIRS
        found = result.averages["kinetic_energy_eV"]
        expected = modes * (0.5 * energy_of_a_mode(TEMPERATURE, BEADS) + 0.5 * THERMAL)
        assert expected > 1.5 * modes * THERMAL
        assert found.error < 0.01 * expected
        assert found.mean == pytest.approx(expected, abs=4.0 * found.error)

    def test_each_element_has_its_share(self, sampled):
        """Of a mode's kinetic energy, each of two atoms has what the other one weighs."""
        result, _ = sampled
        light, heavy = MASSES
        mode = 0.5 * energy_of_a_mode(TEMPERATURE, BEADS)
        for symbol, own, other in (("H", light, heavy), ("O", heavy, light)):
            found = result.averages[f"kinetic_energy_{symbol}_eV"]
            expected = 3 * PAIRS * (mode * other + 0.5 * THERMAL * own) / (own + other)
            assert found.mean == pytest.approx(expected, abs=4.0 * found.error)

    def test_heat_capacity_is_that_of_theory(self, sampled):
        result, _ = sampled
        step = 1.0
        ends = [energy_of_a_mode(TEMPERATURE + sign * step, BEADS) for sign in (-1.0, 1.0)]
        expected = 3 * PAIRS * ((ends[1] - ends[0]) / (2.0 * step * units.kB) + 0.5)
        found = result.heat_capacity_kB
        # Six errors below the classical value, at least half of what tells them apart.
        assert expected < 0.6 * 1.5 * 3 * PAIRS
        assert found.error < 0.2 * expected
        assert found.mean == pytest.approx(expected, abs=4.0 * found.error)

    def test_all_beads_are_evaluated_at_once(self, sampled):
        result, springs = sampled
        assert set(springs.batches) == {BEADS}
        logged = len(result.log["step"])
        # One for each step, two for each line of the log, and few at the checkpoints.
        assert len(springs.batches) < result.steps + 2 * logged + 20

    def test_the_conserved_energy_is_conserved(self, sampled):
        result, _ = sampled
        energy = result.log["conserved_energy_eV"]
        assert np.ptp(energy) < 0.05 * np.ptp(result.log["potential_energy_eV"])


def test_steps_of_a_sixteenth_of_a_period_are_short_enough():
    """Of a thermostat that acts at the ends of a step, the mean would be 2.3 % too large."""
    settings = PathIntegralSettings(
        beads=BEADS, temperature_K=TEMPERATURE, timestep_fs=2.0, steps=1500,
        equilibration_steps=150, log_interval=3, thermostat_time_fs=20.0,
    )  # fmt: skip
    found = path_integrals(pairs(), Springs(), settings, progress=False).averages
    expected = 3 * PAIRS * (0.5 * energy_of_a_mode(TEMPERATURE, BEADS) + 0.5 * THERMAL)
    assert found["kinetic_energy_eV"].mean == pytest.approx(expected, rel=0.012)


def test_centroids_of_ring_polymers_move_as_theory_says():
    """In a harmonic potential the centroid is a classical particle."""
    settings = PathIntegralSettings(
        method="rpmd", beads=4, temperature_K=TEMPERATURE, timestep_fs=0.1, steps=300,
        equilibration_steps=100, thermostat_time_fs=10.0, trajectory_interval=100, log_interval=10,
        checkpoint_interval=130,
    )  # fmt: skip
    stretches = []
    # The same run, ended earlier: its last frame.
    for steps in (100, 300):
        result = path_integrals(
            pairs(), Springs(), PathIntegralSettings(**{**vars(settings), "steps": steps}),
            progress=False,
        )  # fmt: skip
        place, speed = result.atoms.positions, result.atoms.get_velocities()
        stretches.append((place[1::2] - place[::2], speed[1::2] - speed[::2]))
    (place, speed), (later, _) = stretches
    phase = FREQUENCY * 20.0 * units.fs
    expected = place * np.cos(phase) + speed / FREQUENCY * np.sin(phase)
    assert np.abs(later - place).max() > 0.02
    np.testing.assert_allclose(later, expected, atol=2e-3 * np.abs(place).max())
    free = result.log["step"] >= 100
    energy = result.log["conserved_energy_eV"]
    assert np.ptp(energy[free]) < 1e-3
    assert abs(energy[free][0] - energy[~free][-1]) < 0.01


def test_heat_capacity_of_a_log_without_its_columns_is_none():
    assert heat_capacity({"step": np.arange(3)}, 300.0, 0) is None


SHORT = PathIntegralSettings(
    beads=3, temperature_K=300.0, timestep_fs=0.5, steps=8, log_interval=1, trajectory_interval=2,
    checkpoint_interval=3, all_beads=True,
)  # fmt: skip


def silicon() -> Atoms:
    atoms = bulk("Si", cubic=True)
    atoms.rotate(20, "z", rotate_cell=True)
    return atoms


def changed(**changes: Any) -> PathIntegralSettings:
    return PathIntegralSettings(**{**vars(SHORT), **changes})


@pytest.mark.parametrize(("method", "stop"), [("pimd", 2), ("pimd", 5), ("rpmd", 3), ("rpmd", 5)])
def test_a_resumed_run_is_the_same_to_the_bit(tmp_path, method, stop):
    equilibration = 3 if method == "rpmd" else 0
    settings = changed(method=method, equilibration_steps=equilibration)
    calculator = PotentialCalculator("so3krates-mlearn-si", dtype="float64", compile=False)
    run = {"progress": False, "resume": True}
    path_integrals(silicon(), calculator, settings, output=tmp_path / "whole", **run)
    part = tmp_path / "part"

    class Stopped:
        """Ends the run, as a kill would, some evaluations after its last checkpoint."""

        calculator = property(lambda self: calculator)
        left = stop + 1 + (stop > 3)

        def __call__(self, structures, properties=("energy",), *, progress=False):
            from ase_geomformer.evaluate import BatchEvaluator

            self.left -= 1
            if self.left < 0:
                raise OSError("the machine is gone")
            return BatchEvaluator(calculator)(structures, properties)

    with pytest.raises(OSError, match="gone"):
        path_integrals(silicon(), Stopped(), settings, output=part, progress=False)
    path_integrals(silicon(), calculator, settings, output=part, **run)
    for name in ("log.csv", "trajectory.traj", "beads.traj"):
        assert (part / name).read_bytes() == (tmp_path / "whole" / name).read_bytes(), name


def test_more_steps_continue_a_finished_run(tmp_path):
    for steps in (4, 8):
        path_integrals(
            pairs(), Springs(), changed(steps=steps), output=tmp_path / "run", resume=True,
            progress=False,
        )  # fmt: skip
    log = np.genfromtxt(tmp_path / "run" / "log.csv", delimiter=",", names=True)
    assert log["step"].tolist() == list(range(9))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """What the command line leaves."""
    place = tmp_path_factory.mktemp("ipi")
    silicon().write(place / "si.traj")
    code = main([
        "ipi", "--potential", "so3krates-mlearn-si", "--structure", str(place / "si.traj"),
        "--output", str(place / "run"), "--beads", "3", "--steps", "4", "--log_interval", "1",
        "--trajectory_interval", "2", "--all_beads", "true", "--compile", "false",
        "--progress", "false",
    ])  # fmt: skip
    assert code == 0
    return place / "run"


class TestFiles:
    def test_there_is_all_of_an_ordinary_run(self, folder):
        expected = {"log.csv", "trajectory.traj", "beads.traj", "final.extxyz", "pimd.png",
                    "settings.yaml", "result.json", "restart.npz", "input.xml"}  # fmt: skip
        assert expected <= {file.name for file in folder.iterdir()}
        result = json.loads((folder / "result.json").read_text())
        assert result["completed"] is True
        assert result["beads"] == 3
        assert result["averages"]["kinetic_energy_Si_eV"]["mean"] > 0.0

    def test_frames_are_in_the_orientation_of_the_structure(self, folder):
        frames = read(folder / "trajectory.traj", ":")
        assert [frame.info["step"] for frame in frames] == [0, 2, 4]
        np.testing.assert_allclose(frames[0].positions, silicon().positions, atol=1e-9)
        np.testing.assert_allclose(frames[-1].cell.array, silicon().cell.array, atol=1e-12)

    def test_replicas_have_the_calculators_energies_and_forces(self, folder):
        beads = read(folder / "beads.traj", ":")
        assert [frame.info["bead"] for frame in beads] == [0, 1, 2] * 3
        calculator = PotentialCalculator("so3krates-mlearn-si", dtype="float64", compile=False)
        for frame in beads[-3:]:
            alone = frame.copy()
            alone.calc = calculator
            assert frame.get_potential_energy() == pytest.approx(alone.get_potential_energy())
            np.testing.assert_allclose(frame.get_forces(), alone.get_forces(), atol=1e-9)
        centroid = read(folder / "trajectory.traj", "-1")
        mean = np.mean([frame.positions for frame in beads[-3:]], axis=0)
        np.testing.assert_allclose(centroid.positions, mean, atol=1e-9)


def test_one_bead_is_the_classical_structure():
    """Pressure, energy and momenta in ASE's units, before the first step."""
    atoms = silicon()
    atoms.rattle(0.05, seed=1)
    calculator = PotentialCalculator("so3krates-mlearn-si", dtype="float64", compile=False)
    polymer = RingPolymer(atoms, as_evaluator(calculator), changed(beads=1))
    row, centroids = polymer.row(), polymer.centroids()
    atoms.calc = calculator
    kinetic = centroids.get_kinetic_energy()
    pressure = 2.0 / 3.0 * kinetic / atoms.get_volume()
    pressure -= np.trace(atoms.get_stress(voigt=False)) / 3.0
    assert row["pressure_GPa"] * units.GPa == pytest.approx(pressure, rel=1e-9)
    assert row["potential_energy_eV"] == pytest.approx(atoms.get_potential_energy(), rel=1e-12)


def test_slabs_and_other_calculators_run():
    slab = fcc111("Cu", (2, 2, 2), vacuum=4.0)
    result = path_integrals(slab, EMT(), changed(steps=2), progress=False)
    assert result.completed
    assert result.log["potential_energy_eV"][0] == pytest.approx(
        EMT().get_potential_energy(slab), rel=1e-9
    )


def test_what_is_not_finite_stops_the_run_and_says_where():
    class Broken(Springs):
        def __call__(self, structures, properties=(), *, progress=False):
            found = super().__call__(structures, properties)
            if len(self.batches) > 4:
                found[1]["energy"] = float("nan")
            return found

    result = path_integrals(pairs(), Broken(), SHORT, progress=False)
    assert not result.completed
    assert "not finite" in result.reason
    assert result.log["step"].max() < 8


class TestRefused:
    def test_constraints(self):
        atoms = molecule("CH3CH2OH")
        atoms.set_constraint(FixAtoms([0]))
        with pytest.raises(ValueError, match="constraints are not passed on to i-PI"):
            path_integrals(atoms, ETHANOL, SHORT)

    def test_heat_capacity_in_single_precision(self):
        calculator = PotentialCalculator(ETHANOL, dtype="float32", compile=False)
        with pytest.raises(ValueError, match="dtype float64"):
            path_integrals(molecule("CH3CH2OH"), calculator, changed(heat_capacity=True))

    def test_ring_polymers_without_equilibration(self):
        with pytest.raises(ValueError, match="equilibration_steps"):
            PathIntegralSettings(method="rpmd")

    def test_another_structure_or_setting(self, tmp_path):
        run = {"output": tmp_path / "run", "progress": False, "resume": True}
        path_integrals(pairs(), Springs(), changed(steps=3), **run)
        with pytest.raises(ValueError, match="the run to resume is of"):
            path_integrals(molecule("H2O"), Springs(), SHORT, **run)
        with pytest.raises(ValueError, match="beads was 3"):
            path_integrals(pairs(), Springs(), changed(beads=4), **run)
        with pytest.raises(ValueError, match="already made 3"):
            path_integrals(pairs(), Springs(), changed(steps=2), **run)

    @pytest.mark.parametrize(
        ("name", "value"),
        [("positions", np.zeros((2, 2))), ("momenta", np.full((3, 60), np.nan)),
         ("key", np.zeros(3, dtype=np.uint32)), ("numbers", np.zeros((2, 2)))],
    )  # fmt: skip
    def test_restart_files_that_were_changed(self, tmp_path, name, value):
        run = {"output": tmp_path / "run", "progress": False, "resume": True}
        path_integrals(pairs(), Springs(), changed(steps=3), **run)
        file = tmp_path / "run" / "restart.npz"
        with np.load(file) as stored:
            held = dict(stored)
        held[name] = value
        np.savez(file, **held)
        with pytest.raises(ValueError, match="damaged, or was changed"):
            path_integrals(pairs(), Springs(), SHORT, **run)

    def test_a_trajectory_that_is_gone(self, tmp_path):
        run = {"output": tmp_path / "run", "progress": False, "resume": True}
        path_integrals(pairs(), Springs(), changed(steps=3), **run)
        (tmp_path / "run" / "trajectory.traj").unlink()
        with pytest.raises(FileNotFoundError, match="cannot be resumed"):
            path_integrals(pairs(), Springs(), SHORT, **run)
