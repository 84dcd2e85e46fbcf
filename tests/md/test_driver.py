from __future__ import annotations

import csv
import json
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.io import read

from ase_geomformer import PotentialCalculator
from ase_geomformer.md import ENSEMBLES, MDSettings, Observer, run_md
from ase_geomformer.md.figure import plot

SHORT = MDSettings(steps=30, log_interval=3, trajectory_interval=5, equilibration_steps=9)


def read_log(folder: Path) -> list[dict[str, str]]:
    with (folder / "log.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("ensemble", ["nve", "nvt-langevin", "nvt-bussi"])
def test_the_seed_decides_everything(ensemble: str, cluster: Atoms, springs: Any) -> None:
    def final(seed: int) -> np.ndarray:
        settings = MDSettings(ensemble=ensemble, steps=50, seed=seed)
        return run_md(cluster, springs, settings, progress=False).atoms.positions

    np.testing.assert_array_equal(final(0), final(0))
    np.testing.assert_array_equal(final(7), final(7))
    assert np.abs(final(0) - final(7)).max() > 1e-3


@pytest.mark.parametrize("ensemble", [name for name in ENSEMBLES if not name.startswith("npt")])
def test_global_random_states_are_left_alone(ensemble: str, cluster: Atoms, springs: Any) -> None:
    before = random.getstate(), repr(np.random.get_state())  # noqa: NPY002
    run_md(cluster, springs, MDSettings(ensemble=ensemble, steps=10), progress=False)
    assert (random.getstate(), repr(np.random.get_state())) == before  # noqa: NPY002


def test_the_given_atoms_stay_as_they_are(cluster: Atoms, springs: Any) -> None:
    before = cluster.copy()
    result = run_md(cluster, springs, SHORT, progress=False)
    assert cluster == before
    assert cluster.calc is None
    assert not cluster.has("momenta")
    assert result.initial_velocities == "drawn"


def test_velocities_of_the_structure_are_used(cluster: Atoms, springs: Any) -> None:
    cluster.set_velocities([[0.01, 0, 0], [-0.01, 0, 0], [0, 0.01, 0], [0, 0, 0]])
    kinetic = cluster.get_kinetic_energy()
    settings = MDSettings(ensemble="nve", steps=1, log_interval=1)
    result = run_md(cluster, springs, settings, progress=False)
    assert result.log["kinetic_energy_eV"][0] == pytest.approx(kinetic)
    assert result.initial_velocities == "structure"


def test_averages_are_over_the_rows_recorded(cluster: Atoms, springs: Any, tmp_path: Path) -> None:
    result = run_md(cluster, springs, SHORT, output=tmp_path, progress=False)
    rows = read_log(tmp_path)
    assert [int(row["step"]) for row in rows] == list(range(0, 31, 3))
    for name, found in result.averages.items():
        values = [float(row[name]) for row in rows if int(row["step"]) >= 9]
        assert len(values) == 8
        assert found.mean == pytest.approx(np.mean(values), rel=1e-12)
        assert found.std == pytest.approx(np.std(values), rel=1e-9, abs=1e-15)


def test_the_log_tells_the_speed(silicon: Atoms, potential: Any) -> None:
    calculator = PotentialCalculator(potential, skin=0.0)
    log = run_md(silicon, calculator, SHORT, progress=False).log
    assert log["list_rebuilds"].tolist() == [0, *[3] * 10]
    assert log["steps_per_second"][0] == 0.0
    assert (log["steps_per_second"][1:] > 1.0).all()


def test_observers_are_called_by_period(cluster: Atoms, springs: Any, tmp_path: Path) -> None:
    seen: dict[int, np.ndarray] = {}

    def look(atoms: Atoms, step: int) -> None:
        seen[step] = atoms.get_positions()

    observers = [Observer(look, 5), Observer(lambda atoms, _: atoms.get_forces())]
    options = {"output": tmp_path, "progress": False, "observers": observers}
    run_md(cluster, springs, replace(SHORT, steps=20), **options)
    run_md(cluster, springs, SHORT, resume=True, **options)
    assert list(seen) == [0, 5, 10, 15, 20, 25, 30]
    frames = read(tmp_path / "trajectory.traj", index=":")
    np.testing.assert_array_equal([*seen.values()], [frame.positions for frame in frames])
    with pytest.raises(ValueError, match="interval = 0 must be"):
        Observer(look, 0)


def test_drift_is_the_slope_of_the_conserved_energy(cluster: Atoms, springs: Any) -> None:
    result = run_md(cluster, springs, SHORT, progress=False)
    kept = result.log["step"] >= 9
    slope, _ = np.polyfit(
        result.log["time_fs"][kept] / 1000, result.log["conserved_energy_eV"][kept], 1
    )
    assert result.drift_meV_per_atom_per_ps == pytest.approx(1000 * slope / 4, rel=1e-6)


def test_the_folder_holds_what_is_promised(cluster: Atoms, springs: Any, tmp_path: Path) -> None:
    output = tmp_path / "new" / "run"
    result = run_md(
        cluster, springs, SHORT, output=output, progress=False, inputs={"potential": "springs"}
    )
    assert {file.name for file in output.iterdir()} == {
        "trajectory.traj", "log.csv", "final.extxyz", "final.traj", "md.png", "settings.yaml",
        "result.json",
        "restart.npz",
    }  # fmt: skip
    frames = read(output / "trajectory.traj", index=":")
    assert len(frames) == 7
    np.testing.assert_array_equal(frames[-1].positions, result.atoms.positions)
    np.testing.assert_array_equal(frames[-1].get_momenta(), result.atoms.get_momenta())
    assert frames[-1].get_potential_energy() == result.atoms.get_potential_energy()
    final = read(output / "final.extxyz")
    np.testing.assert_allclose(final.positions, result.atoms.positions, atol=1e-7)
    assert (output / "md.png").read_bytes().startswith(b"\x89PNG")
    settings = yaml.safe_load((output / "settings.yaml").read_text())
    assert settings.pop("potential") == "springs"
    assert MDSettings(**settings) == SHORT
    stored = json.loads((output / "result.json").read_text())
    assert stored["completed"] is True
    assert stored["steps"] == 30
    assert stored["averages"]["temperature_K"]["mean"] == result.averages["temperature_K"].mean
    origin = stored["provenance"]
    assert origin["seed"] == 0
    assert origin["potential"]["calculator"] == "Springs"
    assert {"ase", "torch", "ase-geomformer", "python"} <= set(origin["versions"])


def test_without_a_folder_nothing_is_written(
    cluster: Atoms, springs: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run_md(cluster, springs, SHORT, progress=False).output is None
    assert not list(tmp_path.iterdir())


def test_a_folder_with_files_is_refused(cluster: Atoms, springs: Any, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(FileExistsError, match="is not empty"):
        run_md(cluster, springs, SHORT, output=tmp_path, progress=False)
    assert springs.evaluations == 0
    assert [file.name for file in tmp_path.iterdir()] == ["notes.txt"]


def test_overwriting_replaces_only_results(cluster: Atoms, springs: Any, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "offending.extxyz").write_text("of an earlier run")
    run_md(cluster, springs, SHORT, output=tmp_path, overwrite=True, progress=False)
    assert (tmp_path / "notes.txt").read_text() == "mine"
    assert not (tmp_path / "offending.extxyz").exists()
    assert (tmp_path / "result.json").exists()


@pytest.mark.parametrize("property_name", ["energy", "forces"])
def test_a_run_stops_when_results_are_not_finite(
    property_name: str, cluster: Atoms, springs: Any, tmp_path: Path
) -> None:
    calculate = springs.calculate

    def break_down(*arguments: Any) -> None:
        calculate(*arguments)
        if springs.evaluations > 11:
            springs.results[property_name] = springs.results[property_name] * np.nan

    springs.calculate = break_down
    result = run_md(cluster, springs, SHORT, output=tmp_path, progress=False)
    assert not result.completed
    assert 10 <= result.steps <= 11
    assert f"stopped at step {result.steps}" in result.reason
    assert ("potential energy is nan" if property_name == "energy" else "C atom 0") in result.reason
    assert (tmp_path / "offending.extxyz").exists()
    assert not (tmp_path / "final.extxyz").exists()
    stored = json.loads((tmp_path / "result.json").read_text())
    assert stored["completed"] is False
    assert stored["reason"] == result.reason
    assert all(np.isfinite(column).all() for column in result.log.values())
    assert len(read_log(tmp_path)) == len(result.log["step"])
    assert len(read(tmp_path / "trajectory.traj", index=":")) == 3


def test_a_run_that_cannot_start_says_so(cluster: Atoms, springs: Any, tmp_path: Path) -> None:
    springs.quartic = np.nan
    result = run_md(cluster, springs, SHORT, output=tmp_path, progress=True)
    assert (result.completed, result.steps, result.averages) == (False, 0, {})
    assert "stopped at step 0" in result.reason
    assert {file.name for file in tmp_path.iterdir()} >= {"offending.extxyz", "result.json"}


def test_a_structure_that_fails_at_once_leaves_no_folder(
    cluster: Atoms, springs: Any, tmp_path: Path
) -> None:
    def refuse(*_: Any) -> None:
        raise ValueError("the potential does not know F")

    springs.calculate = refuse
    with pytest.raises(ValueError, match="does not know F"):
        run_md(cluster, springs, SHORT, output=tmp_path / "run", progress=False)
    assert not (tmp_path / "run").exists()


def test_an_interrupted_run_keeps_its_files(cluster: Atoms, springs: Any, tmp_path: Path) -> None:
    calculate = springs.calculate

    def interrupt(*arguments: Any) -> None:
        calculate(*arguments)
        if springs.evaluations == 12:
            raise KeyboardInterrupt

    springs.calculate = interrupt
    result = run_md(cluster, springs, SHORT, output=tmp_path, progress=False)
    assert not result.completed
    assert result.reason.startswith("interrupted at step")
    assert read(tmp_path / "final.extxyz").get_chemical_formula() == "CFNO"
    assert len(read(tmp_path / "trajectory.traj", index=":")) == 3


def test_an_empty_structure_is_refused(springs: Any) -> None:
    with pytest.raises(ValueError, match="no atoms"):
        run_md(Atoms(), springs, SHORT, progress=False)


def test_progress_shows_a_bar_and_a_table(
    cluster: Atoms, springs: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    run_md(cluster, springs, SHORT, progress=True)
    shown = capsys.readouterr().out
    for text in ("30/30", "ns/day", "temperature", "drift of conserved energy", "meV/atom/ps"):
        assert text in shown


def test_silent_without_progress(
    cluster: Atoms, springs: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    run_md(cluster, springs, SHORT, progress=False)
    assert capsys.readouterr() == ("", "")


def test_the_figure_shows_what_the_log_has() -> None:
    for ensemble, labels in (
        ("nve", ["energy change (eV)", "temperature (K)"]),
        ("npt-mtk", ["energy change (eV)", "temperature (K)", "pressure (GPa)"]),
    ):
        settings = MDSettings(ensemble=ensemble, steps=20)
        log = run_md(bulk("Cu", cubic=True), EMT(), settings, progress=False).log
        panels = plot(log, settings).axes
        assert [axes.get_ylabel() for axes in panels] == labels
        np.testing.assert_array_equal(panels[1].lines[0].get_ydata(), log["temperature_K"])


def test_figures_leave_pyplot_alone(run_python: Callable, tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "from ase.build import bulk\n"
        "from ase.calculators.emt import EMT\n"
        "from ase_geomformer.md import MDSettings, run_md\n"
        f"run_md(bulk('Cu') * 2, EMT(), MDSettings(steps=10), output={str(tmp_path)!r}, "
        "progress=False)\n"
        "assert 'matplotlib.pyplot' not in sys.modules and 'torch' not in sys.modules"
    )
    run_python("-c", code)
    assert (tmp_path / "md.png").exists()
