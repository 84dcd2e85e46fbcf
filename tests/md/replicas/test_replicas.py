"""Replicas are ordinary runs that share their evaluations."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase import Atoms, units
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.constraints import FixAtoms, FixBondLengths, Hookean
from ase.io import read
from docstring_parser import parse
from matplotlib.figure import Figure

from ase_geomformer import PotentialCalculator
from ase_geomformer.checkpoint.folder import Card, save_potential
from ase_geomformer.cli import main
from ase_geomformer.committee import CommitteeCalculator
from ase_geomformer.evaluate import BatchEvaluator
from ase_geomformer.md import ENSEMBLES, GuardSettings, MDSettings, run_md
from ase_geomformer.md.replicas import ReplicaSettings, run_replicas

SETTINGS = MDSettings(
    timestep_fs=1.0, steps=24, log_interval=3, trajectory_interval=4, checkpoint_interval=10,
    thermostat_time_fs=20.0, barostat_time_fs=50.0, friction_per_fs=0.05, seed=5,
)  # fmt: skip
LADDER = ReplicaSettings(temperatures_K=[300.0, 330.0, 360.0])
EXCHANGING = replace(LADDER, exchange_interval=4)


@pytest.fixture(autouse=True)
def plain_figures(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures cost more than these runs."""
    if "with_figures" not in request.fixturenames:
        for name in ("md.figure.plot", "md.replicas.figure.plot"):
            monkeypatch.setattr(f"ase_geomformer.{name}", lambda *_: Figure(figsize=(1, 1)))


@pytest.fixture
def with_figures() -> None:
    """Draw what a run draws."""


def assert_same_bits(left: Path, right: Path, number: int) -> None:
    for index in range(number):
        folders = [folder / f"replica_{index}" for folder in (left, right)]
        frames = [read(folder / "trajectory.traj", index=":") for folder in folders]
        assert len(frames[0]) == len(frames[1])
        for one, other in zip(*frames, strict=True):
            np.testing.assert_array_equal(one.positions, other.positions)
            np.testing.assert_array_equal(one.get_momenta(), other.get_momenta())
            np.testing.assert_array_equal(one.cell.array, other.cell.array)
            for name, value in one.calc.results.items():
                np.testing.assert_array_equal(value, other.calc.results[name])


def assert_same_logs(one: Any, other: Any) -> None:
    for left, right in zip(one.replicas, other.replicas, strict=True):
        assert left.log.keys() == right.log.keys()
        for name in left.log.keys() - {"steps_per_second"}:
            np.testing.assert_array_equal(left.log[name], right.log[name])


@pytest.mark.parametrize("ensemble", ENSEMBLES)
def test_a_replica_is_its_lone_run(ensemble: str, silicon: Atoms, potential: Any) -> None:
    settings = replace(SETTINGS, ensemble=ensemble, steps=12)
    result = run_replicas(silicon, potential, settings, LADDER, progress=False)
    assert result.completed
    assert result.acceptance == []
    for own, replica in zip(LADDER.each(settings), result.replicas, strict=True):
        lone = run_md(silicon, PotentialCalculator(potential), own, progress=False)
        np.testing.assert_allclose(replica.atoms.positions, lone.atoms.positions, atol=1e-9)
        np.testing.assert_allclose(replica.atoms.cell.array, lone.atoms.cell.array, atol=1e-9)
        for name, values in replica.log.items():
            if name != "steps_per_second":
                np.testing.assert_allclose(values, lone.log[name], atol=1e-6, err_msg=name)
    starts = [replica.log["kinetic_energy_eV"][0] for replica in result.replicas]
    assert len(set(starts)) == 3


VARIANTS = [(name, "isotropic", LADDER) for name in ("nve", "npt-berendsen")] + [
    (name, shape, EXCHANGING)
    for name, shape in [
        ("nvt-langevin", "isotropic"), ("nvt-bussi", "isotropic"),
        ("nvt-nose-hoover", "isotropic"), ("npt-mtk", "isotropic"), ("npt-mtk", "full"),
        ("npt-mtk", "axes"),
    ]
]  # fmt: skip


@pytest.mark.parametrize(("ensemble", "barostat", "replicas"), VARIANTS)
def test_a_resumed_set_is_the_one_never_interrupted(
    ensemble: str, barostat: str, replicas: ReplicaSettings, silicon: Atoms, potential: Any,
    tmp_path: Path,
) -> None:  # fmt: skip
    settings = replace(SETTINGS, ensemble=ensemble, barostat=barostat)

    def run(name: str, steps: int, resume: bool = False) -> Any:
        return run_replicas(
            silicon, potential, replace(settings, steps=steps), replicas,
            output=tmp_path / name, resume=resume, progress=False,
        )  # fmt: skip

    whole = run("whole", 24)
    run("halves", 13)
    halves = run("halves", 24, resume=True)
    assert whole.completed
    assert halves.completed
    assert whole.acceptance == halves.acceptance
    if replicas.exchange_interval:
        assert any(whole.acceptance)
        targets = {tuple(r.log["target_temperature_K"]) for r in whole.replicas}
        assert len(targets) == 3
    assert_same_bits(tmp_path / "whole", tmp_path / "halves", 3)
    assert_same_logs(whole, halves)


def test_constraints_are_held_in_every_replica(
    silicon: Atoms, potential: Any, tmp_path: Path
) -> None:
    silicon.set_constraint([FixAtoms([0]), FixBondLengths([(1, 2)]), Hookean(3, 4, 2.0, 2.0)])
    length = silicon.get_distance(1, 2, mic=True)

    def run(name: str, steps: int, resume: bool = False) -> Any:
        return run_replicas(
            silicon, potential, replace(SETTINGS, steps=steps), EXCHANGING,
            output=tmp_path / name, resume=resume, progress=False,
        )  # fmt: skip

    whole = run("whole", 24)
    run("halves", 13)
    assert_same_logs(whole, run("halves", 24, resume=True))
    assert_same_bits(tmp_path / "whole", tmp_path / "halves", 3)
    for replica in whole.replicas:
        assert replica.degrees_of_freedom == 3 * 7 - 1
        assert replica.atoms.get_distance(1, 2, mic=True) == pytest.approx(length, abs=1e-9)
        np.testing.assert_array_equal(replica.atoms.positions[0], silicon.positions[0])


def test_a_killed_set_goes_on(
    silicon: Atoms, potential: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(name: str, **options: Any) -> Any:
        return run_replicas(
            silicon, potential, replace(SETTINGS, trajectory_interval=1), EXCHANGING,
            output=tmp_path / name, progress=False, **options,
        )  # fmt: skip

    whole = run("whole")
    evaluate, calls = BatchEvaluator.__call__, 0

    def kill(*arguments: Any, **options: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 25:
            raise SystemExit
        return evaluate(*arguments, **options)

    with monkeypatch.context() as patched:
        patched.setattr(BatchEvaluator, "__call__", kill)
        with pytest.raises(SystemExit):
            run("killed")
    assert_same_logs(whole, run("killed", resume=True))
    assert_same_bits(tmp_path / "whole", tmp_path / "killed", 3)


def test_a_calculator_that_remembers(tmp_path: Path) -> None:
    copper = bulk("Cu", cubic=True)
    settings = replace(SETTINGS, temperature_K=1500.0, timestep_fs=4.0)
    replicas = ReplicaSettings(seeds=[3, 8])

    def run(name: str, steps: int, resume: bool = False) -> Any:
        return run_replicas(
            copper, EMT(), replace(settings, steps=steps), replicas, output=tmp_path / name,
            resume=resume, progress=False,
        )  # fmt: skip

    whole = run("whole", 24)
    run("halves", 10)
    assert_same_logs(whole, run("halves", 24, resume=True))


def test_a_replica_can_go_on_alone(silicon: Atoms, potential: Any, tmp_path: Path) -> None:
    run_replicas(silicon, potential, SETTINGS, EXCHANGING, output=tmp_path, progress=False)
    settings = replace(SETTINGS, temperature_K=330.0, seed=6, steps=30)
    calculator = PotentialCalculator(potential)
    own = run_md(
        None, calculator, settings, output=tmp_path / "replica_1", resume=True, progress=False
    )
    assert own.completed
    assert own.steps == 30


HOT = replace(SETTINGS, guards=GuardSettings(max_temperature_K=3000.0))
HOT_LADDER = ReplicaSettings(temperatures_K=[300.0, 330.0, 20000.0])


def test_a_replica_that_stops_leaves_the_others(
    silicon: Atoms, potential: Any, tmp_path: Path
) -> None:
    silicon.set_velocities(1e-3 * np.eye(8, 3))  # so that the third is heated within some steps
    result = run_replicas(silicon, potential, HOT, HOT_LADDER, output=tmp_path, progress=False)
    assert not result.completed
    assert [replica.completed for replica in result.replicas] == [True, True, False]
    assert 0 < result.replicas[2].steps < 24
    assert "replica 2 stopped early: stopped at step" in result.reason
    assert (tmp_path / "replica_2" / "offending.extxyz").exists()
    assert (tmp_path / "replica_1" / "final.extxyz").exists()
    again = run_replicas(
        silicon, potential, replace(HOT, steps=30), HOT_LADDER, output=tmp_path, resume=True,
        progress=False,
    )  # fmt: skip
    assert [replica.steps for replica in again.replicas] == [30, 30, result.replicas[2].steps]
    assert again.replicas[2].reason == result.replicas[2].reason


def test_replicas_of_a_committee(silicon: Atoms, potential: Any) -> None:
    committee = CommitteeCalculator([potential, potential])
    guards = GuardSettings(max_forces_spread_eV_per_A=1.0)
    settings = replace(SETTINGS, steps=2, guards=guards)
    assert run_replicas(silicon, committee, settings, LADDER, progress=False).completed


def test_exchanging_replicas_stop_together(silicon: Atoms, potential: Any) -> None:
    silicon.set_velocities(1e-3 * np.eye(8, 3))
    ladder = replace(HOT_LADDER, exchange_interval=50)
    result = run_replicas(silicon, potential, HOT, ladder, progress=False)
    assert len({replica.steps for replica in result.replicas}) == 1
    assert not any(replica.completed for replica in result.replicas)
    assert "replica 2 stopped, and so all have" in result.reason


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({}, "there are no replicas"),
        ({"copies": 0}, "copies = 0 must be from 1 to 10000"),
        ({"copies": 2, "seeds": [1, 2, 3]}, "3 by seeds, 2 by copies"),
        ({"temperatures_K": [300.0, -1.0]}, "each positive and at most"),
        ({"temperatures_K": [300.0, 300.0], "exchange_interval": 5}, "two increasing values"),
        ({"copies": 3, "exchange_interval": 5}, "two increasing values"),
        (
            {"temperatures_K": [300.0, 400.0], "exchange_interval": 0},
            "exchange_interval = 0 must be from 1",
        ),
    ],
)
def test_impossible_sets(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ReplicaSettings(**values)


@pytest.mark.parametrize("ensemble", ["nve", "npt-berendsen"])
def test_ensembles_that_cannot_exchange(ensemble: str) -> None:
    with pytest.raises(ValueError, match=f"{ensemble} cannot exchange temperatures"):
        EXCHANGING.each(replace(SETTINGS, ensemble=ensemble))


def test_what_cannot_be_resumed(silicon: Atoms, potential: Any, tmp_path: Path) -> None:
    def run(replicas: ReplicaSettings = LADDER, atoms: Any = silicon, **changes: Any) -> None:
        run_replicas(
            atoms, potential, replace(SETTINGS, steps=6, **changes), replicas, output=tmp_path,
            resume=True, progress=False,
        )  # fmt: skip

    run()
    for refused, message in [
        (lambda: run(timestep_fs=2.0), "timestep_fs was .* is 2.0 now"),
        (lambda: run(EXCHANGING), "exchange_interval was .* is 4 now"),
        (lambda: run(atoms=Atoms("H2")), "the structure given is H2"),
        (lambda: run(atoms=[silicon] * 2), "3 replicas and 2 structures"),
    ]:
        with pytest.raises(ValueError, match=message):
            refused()
    (tmp_path / "replica_1" / "log.csv").unlink()
    with pytest.raises(FileNotFoundError, match=r"log.csv is missing"):
        run()


def test_command_line(
    silicon: Atoms, potential: Any, tmp_path: Path, with_figures: None,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    save_potential(potential, tmp_path / "potential", Card("small"), [silicon])
    silicon.write(tmp_path / "silicon.extxyz")
    run = str(tmp_path / "run")
    command = [
        "replicas", "--potential", str(tmp_path / "potential"), "--structure",
        str(tmp_path / "silicon.extxyz"), "--temperatures_K", "[300, 350, 400]", "--steps", "20",
        "--exchange_interval", "5", "--output", run,
    ]  # fmt: skip
    assert main(command) == 0
    shown = capsys.readouterr().out
    assert "ns/day in all" in shown
    assert "accepted" in shown
    assert {file.name for file in Path(run).iterdir()} == {
        "replica_0", "replica_1", "replica_2", "replicas.png", "restart.npz", "result.json",
        "settings.yaml",
    }  # fmt: skip
    resumed = ["replicas", "--config", f"{run}/settings.yaml", "--output", run, "--resume"]
    assert main([*resumed, "--steps", "30", "--progress", "false"]) == 0
    assert main([*command, "--progress", "false"]) == 2


def test_exchanges_keep_every_temperature_canonical(cluster: Atoms, springs: Any) -> None:
    springs.quartic = 0.0  # nine harmonic vibrations: <U> = 9/2 kT, <K> = 12/2 kT with the drift
    replicas = ReplicaSettings(temperatures_K=[200.0, 280.0, 400.0], exchange_interval=10)
    settings = MDSettings(
        timestep_fs=4.0, steps=4000, friction_per_fs=0.02, log_interval=5, seed=1,
        equilibration_steps=200,
    )  # fmt: skip
    result = run_replicas(cluster, springs, settings, replicas, progress=False)
    assert all(0.3 < share < 0.95 for share in result.acceptance)
    visited = {kelvin for r in result.replicas for kelvin in r.log["target_temperature_K"]}
    assert visited == {200.0, 280.0, 400.0}
    for kelvin in result.temperatures_K:
        log = result.at_temperature(kelvin, settings.equilibration_steps)
        thermal = units.kB * kelvin
        # 760 values, about 8 of which make an independent one: errors of 5% of a mean.
        assert log["potential_energy_eV"].mean() == pytest.approx(4.5 * thermal, rel=0.15)
        assert log["kinetic_energy_eV"].mean() == pytest.approx(6.0 * thermal, rel=0.15)
    for replica in result.replicas:
        assert np.ptp(replica.log["total_energy_eV"]) > 0.2
        assert np.ptp(replica.log["conserved_energy_eV"]) < 0.02


def test_every_setting_is_described() -> None:
    described = {entry.arg_name for entry in parse(ReplicaSettings.__doc__ or "").params}
    assert described == {entry.name for entry in fields(ReplicaSettings)}
