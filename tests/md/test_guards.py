"""Runs that go wrong end by themselves, and say why."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.io import read

from ase_geomformer import Potential, PotentialCalculator
from ase_geomformer.checkpoint.folder import Card, save_potential
from ase_geomformer.cli import main
from ase_geomformer.md import GuardSettings, MDResult, MDSettings, run_md

pytestmark = pytest.mark.quick

SETTINGS = MDSettings(ensemble="nve", steps=60, log_interval=5, checkpoint_interval=20)


def guarded(limits: dict[str, Any], **changes: Any) -> MDSettings:
    return replace(SETTINGS, guards=GuardSettings(**limits), **changes)


def stopped(atoms: Atoms, calculator: Any, settings: MDSettings, **options: Any) -> MDResult:
    result = run_md(atoms, calculator, settings, progress=False, **options)
    assert not result.completed
    assert result.reason.startswith(f"stopped at step {result.steps} (")
    return result


def test_nothing_trips_in_a_sound_run() -> None:
    settings = replace(SETTINGS, ensemble="npt-mtk", timestep_fs=5.0, steps=300)
    assert run_md(bulk("Cu", cubic=True), EMT(), settings, progress=False).completed


def test_a_planted_overlap() -> None:
    copper = bulk("Cu", cubic=True) * 2
    copper.positions[7] = copper.positions[3] + [0.0, 0.1, 0.2]
    result = stopped(copper, EMT(), SETTINGS)
    assert result.steps == 0
    assert "Cu atom 3 and Cu atom 7 are 0.224 Å apart" in result.reason
    assert "guards.min_distance_A = 0.4" in result.reason


def test_an_overlap_with_an_image() -> None:
    copper = Atoms("Cu2", positions=[[0.1, 2.0, 2.0], [5.9, 2.0, 2.0]], cell=[6, 6, 6], pbc=True)
    assert "0.200 Å apart" in stopped(copper, EMT(), SETTINGS).reason


class Kicking(EMT):
    """Changes the forces at some evaluation."""

    def __init__(self, evaluation: int, force: float) -> None:
        super().__init__()
        self.evaluation, self.force, self.calls = evaluation, force, 0

    def calculate(self, *arguments: Any) -> None:
        super().calculate(*arguments)
        self.calls += 1
        if self.calls == self.evaluation:
            self.results["forces"][2, 1] = self.force


@pytest.mark.parametrize("force", [np.nan, np.inf, 150.0])
def test_a_planted_force_leaves_all_that_is_needed(force: float, tmp_path: Path) -> None:
    copper = bulk("Cu", cubic=True)
    result = stopped(copper, Kicking(32, force), SETTINGS, output=tmp_path)
    assert "Cu atom 2" in result.reason
    assert "offending.extxyz, those before it in last_good.traj" in result.reason
    assert "restart.npz is of step 20" in result.reason
    assert "\n" not in result.reason
    assert json.loads((tmp_path / "result.json").read_text())["reason"] == result.reason
    assert not (tmp_path / "final.extxyz").exists()
    good = read(tmp_path / "last_good.traj", index=":")
    assert [frame.info["step"] for frame in good] == list(range(result.steps - 10, result.steps))
    assert all(np.isfinite(frame.get_momenta()).all() for frame in good)
    offending = read(tmp_path / "offending.extxyz")
    assert np.abs(offending.positions - good[-1].positions).max() < 0.1
    again = run_md(None, EMT(), output=tmp_path, resume=True, progress=False)
    assert again.completed
    whole = run_md(copper, EMT(), SETTINGS, output=tmp_path / "whole", progress=False)
    np.testing.assert_array_equal(again.atoms.positions, whole.atoms.positions)
    assert not (tmp_path / "offending.extxyz").exists()
    assert not (tmp_path / "last_good.traj").exists()


def test_a_heated_cell() -> None:
    settings = guarded(
        {"max_temperature_K": 900.0}, ensemble="nvt-bussi", temperature_end_K=5000.0,
        thermostat_time_fs=5.0, timestep_fs=2.0, steps=300,
    )  # fmt: skip
    result = stopped(bulk("Cu", cubic=True) * 2, EMT(), settings)
    assert result.steps > 5
    assert "K, more than guards.max_temperature_K = 900" in result.reason


def test_a_frozen_cell() -> None:
    # From the minimum half of the kinetic energy goes into the springs.
    settings = guarded({"min_temperature_K": 200.0}, timestep_fs=2.0)
    assert "less than guards.min_temperature_K" in stopped(bulk("Cu") * 2, EMT(), settings).reason


def test_a_squeezed_cell() -> None:
    copper = bulk("Cu", a=3.2, cubic=True)
    settings = guarded({"max_pressure_GPa": 50.0}, ensemble="npt-mtk")
    assert "GPa, more than guards.max_pressure_GPa = 50" in stopped(copper, EMT(), settings).reason
    assert run_md(copper, EMT(), replace(settings, ensemble="nve"), progress=False).completed


def test_drift(cluster: Atoms, springs: Any) -> None:
    calculate = springs.calculate

    def leak(*arguments: Any) -> None:
        calculate(*arguments)
        springs.results["energy"] += 4e-4 * springs.evaluations  # 200 meV/atom/ps

    springs.calculate = leak
    result = stopped(cluster, springs, guarded({"drift_window_fs": 20.0}))
    assert result.steps == 40
    (drift,) = re.findall(r"the conserved energy drifts by (\S+) meV/atom/ps", result.reason)
    assert float(drift) == pytest.approx(200.0, rel=0.1)
    limits = {"drift_window_fs": 20.0, "max_drift_meV_per_atom_per_ps": 300.0}
    assert run_md(cluster, springs, guarded(limits), progress=False).completed


class Nothing(EMT):
    """No forces at all."""

    def calculate(self, *arguments: Any) -> None:
        super().calculate(*arguments)
        self.results["forces"] = np.zeros((len(self.atoms), 3))
        self.results["energy"] = self.results["free_energy"] = 0.0


def test_an_atom_that_leaves() -> None:
    atoms = Atoms("Cu4", positions=[[0, 0, 0], [2.5, 0, 0], [5, 0, 0], [90, 0, 0]])
    atoms.set_velocities([[0.0, 0.01, 0], [0, -0.01, 0], [0.1, 0, 0], [0, 0, 0.1]])
    # The last one is alone from the start, and may go where it likes.
    settings = guarded({"max_gap_A": 3.0}, timestep_fs=1.0, steps=200)
    result = stopped(atoms, Nothing(), settings)
    assert "Cu atom 2 has no neighbour left within guards.max_gap_A = 3; 1 of 4" in result.reason
    assert run_md(atoms, Nothing(), guarded({"max_gap_A": None}), progress=False).completed


def test_who_had_a_neighbour_outlives_a_restart(tmp_path: Path) -> None:
    atoms = Atoms("Cu2", positions=[[0, 0, 0], [2.9, 0, 0]])
    atoms.set_velocities([[-0.01, 0, 0], [0.01, 0.0, 0]])
    settings = guarded({"max_gap_A": 3.0}, timestep_fs=1.0, steps=500)
    whole = stopped(atoms, Nothing(), settings)
    first = replace(settings, steps=whole.steps - 3)
    run_md(atoms, Nothing(), first, output=tmp_path, progress=False)
    assert stopped(atoms, Nothing(), settings, output=tmp_path, resume=True).steps == whole.steps


def test_every_guard_can_be_switched_off(cluster: Atoms, springs: Any) -> None:
    springs.quartic = np.nan
    off = {name: None for name in vars(GuardSettings()) if name.startswith(("min_", "max_"))}
    assert not run_md(cluster, springs, guarded(off), progress=False).completed
    assert run_md(cluster, springs, guarded({**off, "finite": False}), progress=False).completed


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"min_distance_A": -1.0}, r"guards\.min_distance_A = -1\.0 must be positive"),
        ({"max_force_eV_per_A": np.nan}, "must be a finite number or null"),
        ({"drift_window_fs": 0.0}, "must be positive"),
        ({"pair_interval": 2.5}, "must be a whole number"),
        ({"min_temperature_K": 500.0, "max_temperature_K": 300.0}, "less than max_temperature_K"),
    ],
)
def test_limits_out_of_range(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        GuardSettings(**changes)


def test_command_line(
    potential: Potential, silicon: Atoms, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save_potential(potential, tmp_path / "potential", Card("small"), [silicon])
    silicon.write(tmp_path / "silicon.extxyz")
    command = [
        "md", "--potential", str(tmp_path / "potential"), "--structure",
        str(tmp_path / "silicon.extxyz"), "--steps", "20", "--progress", "false",
    ]  # fmt: skip
    limits = ["--guards.max_temperature_K", "20"]
    assert main([*command, "--output", str(tmp_path / "run"), *limits]) == 1
    settings = str(tmp_path / "run" / "settings.yaml")
    assert "max_temperature_K: 20" in Path(settings).read_text()
    again = ["md", "--config", settings, "--output", str(tmp_path / "again")]
    assert main([*again, "--progress", "false"]) == 1
    assert main([*again, "--guards.max_temperature_K", "null", "--overwrite"]) == 0
    assert main(["md", "--help"]) == 0
    assert "--guards.min_distance_A" in capsys.readouterr().out


def test_forces_of_a_potential_are_looked_at(potential: Potential, silicon: Atoms) -> None:
    settings = guarded({"max_force_eV_per_A": 1e-6})
    result = stopped(silicon, PotentialCalculator(potential), settings)
    assert result.steps == 0
    assert "guards.max_force_eV_per_A" in result.reason


class Failing(EMT):
    """Raises an error of its own at some evaluation."""

    def __init__(self, evaluation: int, error: Exception) -> None:
        super().__init__()
        self.evaluation, self.error, self.calls = evaluation, error, 0

    def calculate(self, *arguments: Any) -> None:
        self.calls += 1
        if self.calls == self.evaluation:
            raise self.error
        super().calculate(*arguments)


@pytest.mark.parametrize("error", [ValueError("positions are NaN"), KeyError("x")])
def test_any_error_on_the_way_ends_as_a_stop(error: Exception, tmp_path: Path) -> None:
    result = stopped(bulk("Cu", cubic=True), Failing(32, error), SETTINGS, output=tmp_path / "run")
    assert result.steps > 20
    assert f"by {type(error).__name__}: {error}" in result.reason
    assert result.error is error
    names = {file.name for file in (tmp_path / "run").iterdir()}
    assert {"offending.extxyz", "last_good.traj", "result.json", "log.csv", "md.png"} <= names
    stored = json.loads((tmp_path / "run" / "result.json").read_text())
    assert stored["completed"] is False
    # What was saved before is sound: the run resumes where the calculator does not fail.
    again = run_md(None, EMT(), SETTINGS, output=tmp_path / "run", resume=True, progress=False)
    assert again.completed


def test_a_full_disk_is_no_fault_of_the_run(tmp_path: Path) -> None:
    failing = Failing(32, OSError("no space left on device"))
    with pytest.raises(OSError, match="no space left"):
        run_md(bulk("Cu", cubic=True), failing, SETTINGS, output=tmp_path / "run", progress=False)


def test_a_removed_folder_ends_the_run(tmp_path: Path) -> None:
    import shutil

    from ase_geomformer.md.observer import Observer

    def remove(atoms: Atoms, step: int) -> None:
        if step == 30:
            shutil.rmtree(tmp_path / "run")

    result = run_md(
        bulk("Cu", cubic=True), EMT(), SETTINGS, output=tmp_path / "run", progress=False,
        observers=[Observer(remove, 10)],
    )  # fmt: skip
    assert not result.completed
    assert "was removed" in result.reason
    assert not (tmp_path / "run").exists()


def test_positions_that_are_no_numbers_are_named() -> None:
    atoms = bulk("Cu", cubic=True)
    atoms.positions[2] = np.nan
    with pytest.raises(ValueError, match="1 of 4 atoms have a NaN or infinite position, atom 2"):
        run_md(atoms, EMT(), MDSettings(steps=1), progress=False)
