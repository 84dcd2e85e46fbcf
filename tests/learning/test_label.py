"""Labelling: every structure once, failures twice, whatever is killed."""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import signal
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule
from ase.calculators.emt import EMT
from ase.io import read, write

from ase_geomformer.cli import main
from ase_geomformer.data.readers import read_frames
from ase_geomformer.data.sources import DataSettings
from ase_geomformer.external import calculator_by_name
from ase_geomformer.learning.answers import ask
from ase_geomformer.learning.identity import structure_key
from ase_geomformer.learning.label import FRAMES_FILE, STORE_FILE, label
from ase_geomformer.learning.label_settings import LabelSettings
from ase_geomformer.learning.labelling import TeacherWarning
from ase_geomformer.learning.store import LabelStore
from ase_geomformer.learning.teacher import Teacher


def quiet(structures: list[Atoms], teacher: Any, folder: Path, **keywords: Any) -> Any:
    return label(structures, teacher, output=folder, progress=False, **keywords)


def test_labels_are_those_of_the_teacher(alloys: list[Atoms], tmp_path: Path) -> None:
    result = quiet([*alloys, alloys[3]], "emt", tmp_path / "out", settings=LabelSettings(workers=2))
    assert result.calls == len(alloys)
    assert not result.problem
    frames = read_frames(DataSettings(str(tmp_path / "out" / FRAMES_FILE)))
    assert len(frames) == len(alloys)
    for atoms, frame in zip(alloys, frames, strict=True):
        atoms.calc = EMT()
        assert frame.energy == pytest.approx(atoms.get_potential_energy(), abs=1e-7)
        assert frame.forces == pytest.approx(atoms.get_forces(), abs=1e-7)
        assert frame.stress == pytest.approx(atoms.get_stress(voigt=False), abs=1e-7)
    summary = json.loads((tmp_path / "out" / "result.json").read_text())
    assert summary["calls"] == 10
    assert summary["teacher"]["name"] == "emt"


def test_resuming_asks_for_what_is_new_only(
    alloys: list[Atoms], teachers: str, tmp_path: Path
) -> None:
    log = tmp_path / "calls"
    teacher = Teacher(f"{teachers}:Faulty", {"log": str(log)})
    quiet(alloys[:6], teacher, tmp_path / "out")
    with pytest.raises(FileExistsError):
        quiet(alloys, teacher, tmp_path / "out")
    result = quiet(alloys, teacher, tmp_path / "out", resume=True)
    assert len(result.frames) == 10
    assert Counter(log.read_text().split()) == {structure_key(atoms): 1 for atoms in alloys}


@pytest.mark.parametrize("how", ["raise", "exit", "nan"])
def test_a_call_that_fails_once_is_repeated(
    alloys: list[Atoms], teachers: str, tmp_path: Path, how: str
) -> None:
    arguments = {"log": str(tmp_path / "calls"), "share": 0.4, "times": 1, "how": how}
    result = quiet(alloys, Teacher(f"{teachers}:Faulty", arguments), tmp_path / "out")
    failing = [a for a in alloys if int(structure_key(a)[:4], 16) / 16**4 < 0.4]
    assert failing
    assert result.failed_calls == len(failing)
    assert len(result.frames) == 10
    assert not result.problem
    reasons = {"raise": "did not converge", "exit": "exit code 3", "nan": "not finite"}
    assert all(reasons[how] in reason for reason in result.reasons)


def test_a_structure_that_fails_twice_is_set_aside_with_its_reason(
    alloys: list[Atoms], teachers: str, tmp_path: Path
) -> None:
    arguments = {"log": str(tmp_path / "calls"), "share": 0.4}
    teacher = Teacher(f"{teachers}:Faulty", arguments)
    failing = [a for a in alloys if int(structure_key(a)[:4], 16) / 16**4 < 0.4]
    assert 0 < len(failing) < len(alloys)
    with pytest.warns(TeacherWarning, match="calls of the teacher have failed.*did not converge"):
        result = quiet(alloys, teacher, tmp_path / "out")
    assert result.set_aside == len(failing)
    assert len(result.frames) == len(alloys) - len(failing)
    assert "did not converge" in result.problem
    # They are not tried again.
    calls = (tmp_path / "calls").read_text()
    with pytest.warns(TeacherWarning):
        quiet(alloys, teacher, tmp_path / "out", resume=True)
    assert (tmp_path / "calls").read_text() == calls


def test_workers_of_any_executor_label(alloys: list[Atoms], teachers: str, tmp_path: Path) -> None:
    arguments = {"log": str(tmp_path / "calls"), "share": 0.3, "times": 1, "how": "exit"}
    teacher = Teacher(f"{teachers}:Faulty", arguments)
    with ThreadPoolExecutor(2) as pool:
        result = quiet(alloys, teacher, tmp_path / "out", cluster=pool)
    assert len(result.frames) == len(alloys)
    # A teacher that ends its process is a failed call, and is tried again.
    assert result.failed_calls == result.calls - len(alloys) > 0
    assert all("ended with exit code" in reason for reason in result.reasons)
    for atoms, frame in zip(alloys, result.frames, strict=True):
        assert frame.energy == pytest.approx(ask(EMT(), atoms).energy, abs=1e-9)


def test_a_calculator_of_this_process_is_not_sent_to_workers(
    alloys: list[Atoms], tmp_path: Path
) -> None:
    with ThreadPoolExecutor(1) as pool, pytest.raises(ValueError, match="need a teacher by its"):
        quiet(alloys, EMT(), tmp_path / "out", cluster=pool)


def test_a_call_without_end_is_ended(alloys: list[Atoms], teachers: str, tmp_path: Path) -> None:
    arguments = {"log": str(tmp_path / "calls"), "share": 1.0, "times": 1, "how": "sleep"}
    teacher = Teacher(f"{teachers}:Faulty", arguments)
    settings = LabelSettings(timeout_s=10.0)
    result = quiet(alloys[:1], teacher, tmp_path / "out", settings=settings)
    assert len(result.frames) == 1
    assert result.reasons == ["no answer within 10 s"]


def test_kills_lose_and_repeat_nothing(alloys: list[Atoms], tmp_path: Path) -> None:
    rng = random.Random(0)
    path, log = tmp_path / "out", tmp_path / "calls"
    context = multiprocessing.get_context("fork")
    kills = 0
    while kills < 20:
        process = context.Process(target=_slowly, args=(alloys, str(log), path))
        process.start()
        time.sleep(rng.uniform(0.0, 0.3))
        os.kill(process.pid or 0, signal.SIGKILL)
        process.join()
        kills += 1
        kept = LabelStore(path / STORE_FILE) if (path / STORE_FILE).exists() else None
        if kept is not None and len(kept) == len(alloys):
            break
    result = quiet(alloys, _Slow(str(log)), path, resume=True)
    assert len(result.frames) == len(alloys) == result.calls
    # At most the call under way is lost with the process.
    assert len(log.read_text().split()) <= len(alloys) + kills
    for atoms, frame in zip(alloys, result.frames, strict=True):
        expected = ask(EMT(), atoms)
        assert frame.energy == expected.energy
        assert (frame.forces == expected.forces).all()


class _Slow(EMT):  # type: ignore[misc]
    """EMT of 20 ms a call, which notes each structure that it has finished."""

    name = "slow"

    def __init__(self, log: str) -> None:
        super().__init__()
        self.log = log

    def calculate(self, atoms: Atoms, *arguments: Any) -> None:
        super().calculate(atoms, *arguments)
        time.sleep(0.02)
        with Path(self.log).open("a") as file:
            file.write("x\n")


def _slowly(structures: list[Atoms], log: str, folder: Path) -> None:
    quiet(structures, _Slow(log), folder, resume=True)


def test_charge_and_spin_reach_the_teacher() -> None:
    class Looks(EMT):  # type: ignore[misc]
        def calculate(self, atoms: Atoms, *arguments: Any) -> None:
            self.seen = atoms.get_initial_charges().sum(), atoms.get_initial_magnetic_moments()
            super().calculate(atoms, *arguments)

    atoms, calculator = molecule("H2O"), Looks()
    atoms.info.update(charge=-1, spin=2)
    assert not ask(calculator, atoms).reason
    charge, moments = calculator.seen
    assert charge == pytest.approx(-1)
    assert moments.sum() == pytest.approx(1)


@pytest.mark.parametrize(
    ("options", "error"),
    [
        (["--teacher", "emd"], "did you mean"),
        (["--teacher", "no_such_package:teacher"], "cannot be loaded"),
        (["--teacher", "emt", "--workers", "0"], "workers = 0"),
    ],
)
def test_bad_input_leaves_no_folder(
    alloys: list[Atoms],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    error: str,
) -> None:
    write(tmp_path / "frames.xyz", alloys, format="extxyz")
    structure = ["--structure", str(tmp_path / "frames.xyz"), "--output", str(tmp_path / "out")]
    assert main(["label", *structure, *options]) == 2
    assert error in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_the_verb(alloys: list[Atoms], tmp_path: Path) -> None:
    write(tmp_path / "frames.xyz", alloys, format="extxyz")
    (tmp_path / "arguments.yaml").write_text("asap_cutoff: true\n")
    argv = ["label", "--structure", str(tmp_path / "frames.xyz"), "--teacher", "emt"]
    argv += ["--teacher_args", str(tmp_path / "arguments.yaml"), "--index", ":3"]
    assert main([*argv, "--output", str(tmp_path / "out"), "--progress", "false"]) == 0
    (first, *others) = read(tmp_path / "out" / FRAMES_FILE, ":")
    assert len(others) == 2
    alloys[0].calc = calculator_by_name("emt", {"asap_cutoff": True})
    assert first.info["REF_energy"] == pytest.approx(alloys[0].get_potential_energy(), abs=1e-6)
    np.testing.assert_allclose(first.arrays["REF_forces"], alloys[0].get_forces(), atol=1e-6)
