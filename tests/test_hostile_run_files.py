"""Every field of files that a resumed run reads back, by type: one line, and no wrong type passes.

Restart files are in ``md/test_hostile_restart.py``, structures in ``runs/test_hostile_folders.py``.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.io import write

from ase_geomformer.cli import main
from ase_geomformer.data.splits import Split
from ase_geomformer.learning.answers import ask
from ase_geomformer.learning.state import STATE_FILE, RoundRecord, RunState
from ase_geomformer.learning.store import LabelStore
from ase_geomformer.md import MDSettings, run_md
from ase_geomformer.md.recorder import read_log
from ase_geomformer.recipes import RelaxManySettings, RelaxSettings, relax, relax_many
from ase_geomformer.recipes.lattice.forces import ForceStore
from ase_geomformer.recipes.relaxation.many import FINISHED_FILE
from ase_geomformer.recipes.relaxation.store import RelaxStore
from ase_geomformer.runs.folder import RunFolder
from ase_geomformer.runs.plain import plain
from ase_geomformer.training.log import read_rows

# As JSON: null, text, negative, huge, with a fraction, truth value, list, mapping, no number.
WRONG = ["null", '"text"', "-1", "1" + "0" * 400, "1e400", "1.5", "true", "[[1]]", '{"a": [1]}',
         "NaN"]  # fmt: skip
MARK = "the value"


def copper(seed: int) -> Atoms:
    atoms = bulk("Cu", cubic=True)
    atoms.rattle(0.05, seed=seed)
    return atoms


def variants(record: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Name of a field, what replaces it, and the record as text; first with each field absent."""
    for name in record:
        yield name, "nothing", json.dumps({key: record[key] for key in record if key != name})
        for text in WRONG:
            yield name, text, json.dumps({**record, name: MARK}).replace(f'"{MARK}"', text)


def accepted(
    content: dict[str, Any], write_it: Callable[[str], object], read: Callable[[], object]
) -> set[tuple[str, str]]:
    """The variants that are read without an error; every error is one line of a ValueError."""
    found = set()
    for name, text, changed in variants(content):
        write_it(changed)
        try:
            read()
        except ValueError as error:
            message = str(error)
        else:
            message = ""
            found.add((name, text))
        assert "\n" not in message, (name, text)
        assert len(message) < 1000, (name, text)
    return found


def test_finished_relaxations(tmp_path: Path) -> None:
    structures = [copper(0)]
    settings = RelaxManySettings(steps=2, fmax=1e-3)
    relax_many(structures, EMT(), settings, output=tmp_path, progress=False)
    path = tmp_path / FINISHED_FILE
    sound = json.loads(path.read_text())
    found = accepted(
        sound, lambda text: path.write_text(text + "\n"), lambda: RelaxStore(path, structures)
    )
    words = {"reason", "optimizer", "damage", "space_group_before", "space_group_after"}
    numbers = {"energy", "fmax", "smax_GPa"}
    assert found == {
        *((name, '"text"') for name in words),
        *((name, "null") for name in (words - {"reason", "optimizer"}) | numbers),
        *((name, text) for name in numbers for text in ("-1", "1.5")),
        ("wall_time", "1.5"),
        ("converged", "true"),
    }


def test_a_finished_relaxation_of_another_type_ends_the_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = tmp_path / "crystals.extxyz"
    write(source, [bulk("Cu", cubic=True)])
    words = ["relax", "--calculator", "emt", "--structure", str(source)]
    many = ["relax-many", *words[1:], "--index", ":", "--output", str(tmp_path / "run")]
    assert main([*many, "--steps", "1"]) in (0, 1)
    path = tmp_path / "run" / FINISHED_FILE
    path.write_text(json.dumps({**json.loads(path.read_text()), "steps": None}) + "\n")
    capsys.readouterr()
    assert main([*many, "--steps", "1", "--resume"]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "line 1 of" in error
    assert "steps is None" in error


def test_labels(tmp_path: Path) -> None:
    path = tmp_path / "labels.jsonl"
    store = LabelStore(path, {"name": "emt"})
    atoms = copper(0)
    store.add(atoms, ask(EMT(), atoms), "given")
    header, label = path.read_text().splitlines()
    found = accepted(
        json.loads(label),
        lambda text: path.write_text(f"{header}\n{text}\n"),
        lambda: LabelStore(path, {"name": "emt"}),
    )
    assert found == {
        ("origin", '"text"'), ("stress", "null"), ("seconds", "1.5"),
        ("energy", "1.5"), ("energy", "-1"),
    }  # fmt: skip
    found = accepted(
        json.loads(header),
        lambda text: path.write_text(f"{text}\n{label}\n"),
        lambda: LabelStore(path, {"name": "emt"}),
    )
    assert not found


def test_states_of_learn(tmp_path: Path) -> None:
    state = RunState(rounds=[RoundRecord()], begun_rounds=1)
    path = tmp_path / STATE_FILE

    def read() -> None:
        RunState.load(tmp_path)

    found = accepted(plain(asdict(state)), path.write_text, read)
    check_types(found, RunState())
    held = accepted(
        plain(asdict(RoundRecord())),
        lambda text: path.write_text(json.dumps({"rounds": [MARK]}).replace(f'"{MARK}"', text)),
        read,
    )
    check_types(held, RoundRecord())


def check_types(found: set[tuple[str, str]], sound: Any) -> None:
    """What was accepted has the type of the field, and is not negative."""
    for name, text in found - {(name, "nothing") for name in vars(sound)}:
        value, wanted = json.loads(text), getattr(sound, name)
        if wanted is None:  # a number or none
            assert value is None or type(value) in (int, float), (name, text)
            continue
        same = type(value) is type(wanted) or (type(wanted) is float and type(value) is int)
        assert same, (name, text)
        assert not isinstance(value, int | float) or value >= 0, (name, text)


def test_splits(tmp_path: Path) -> None:
    path = tmp_path / "split.json"
    sound = plain(asdict(Split((0, 1), (2,), (3,), 4, "abc")))
    found = accepted(sound, path.write_text, lambda: Split.load(path))
    found -= {(name, "nothing") for name in ("validation", "test", "frames", "sha256")}
    assert found - {("train", "nothing")} == {
        ("frames", "null"), ("frames", "-1"), ("frames", WRONG[3]), ("sha256", "null"),
        ("sha256", '"text"'),
    }  # fmt: skip


@pytest.mark.parametrize("text", [*WRONG, '{"a": 1}', '{"evaluation": 5}', '{"evaluation": [5]}'])
def test_how_a_run_was_evaluated(text: str, tmp_path: Path) -> None:
    def run(resume: bool) -> None:
        settings = RelaxSettings(steps=1)
        relax(copper(0), EMT(), settings, output=tmp_path, resume=resume, progress=False)

    run(False)
    (tmp_path / "evaluation.json").write_text(text)
    with pytest.raises(ValueError, match=r"evaluation\.json"):
        run(True)


def test_forces_of_displacements(tmp_path: Path) -> None:
    def store() -> ForceStore:
        return ForceStore(tmp_path / "displacements", [copper(0)] * 2, {"potential": "x"})

    store().append(np.zeros((1, 4, 3)))
    facts = tmp_path / "displacements.json"
    sound = facts.read_text()
    assert not accepted(json.loads(sound), facts.write_text, store)
    facts.write_text(sound)
    for wrong in (np.full((1, 4, 3), np.nan), np.full((1, 4, 3), np.inf), np.zeros((3, 4, 3))):
        (tmp_path / "displacements.forces").write_bytes(wrong.tobytes())
        with pytest.raises(ValueError, match=r"displacements\.forces is damaged"):
            store().read()


def test_settings_of_a_run_to_resume(tmp_path: Path) -> None:
    settings = RelaxSettings()
    path = tmp_path / "settings.yaml"
    sound = plain(asdict(settings))

    def read() -> None:
        RunFolder(tmp_path, resume=True).check_settings(settings)

    for name, text, changed in variants(sound):
        path.write_text(changed)
        if text == "nothing":  # newer than the file: it counts as the default
            read()
            continue
        with suppress(ValueError):
            read()
            value = yaml.safe_load(changed)[name]
            assert value == sound[name], (name, text)
            assert type(value) is type(sound[name]), (name, text)
    for text in ("5", "[1]", "text", "null", ""):
        path.write_text(text)
        with pytest.raises(ValueError, match="does not hold the settings of a run"):
            read()


# Rows that are no numbers, too short, too long, or one field without end.
ROWS = ["x,1.5,2", "1,x,2", "1", "1,1.5,2,3", "1.5,1.5,2", "1," + "9" * 200_000 + ",2"]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[:10])
def test_logs_of_trainings(row: str, tmp_path: Path) -> None:
    path = tmp_path / "metrics.csv"
    path.write_text("step,train_loss,epoch\n0,1.5,0\n,,\n")
    with pytest.raises(ValueError, match=r"metrics\.csv is damaged"):
        read_rows(path)  # a row without a step
    path.write_text("step,train_loss,epoch\n0,1.5,0\n3,,1\n4,1.5")
    assert [row["step"] for row in read_rows(path)] == ["0", "3"]
    short = row == "1"  # what a row leaves out, it does not have
    path.write_text(f"step,train_loss,epoch\n0,1.5,0\n{row}\n")
    if short:
        assert len(read_rows(path)) == 2
        return
    with pytest.raises(ValueError, match=r"metrics\.csv is damaged") as raised:
        read_rows(path)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[:10])
def test_logs_of_dynamics(row: str, tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("step,energy_eV,temperature_K\n0,1.5,2\n")
    assert read_log(tmp_path / "log.csv") == [{"step": 0, "energy_eV": 1.5, "temperature_K": 2.0}]
    with (tmp_path / "log.csv").open("a") as file:
        file.write(f"{row}\n")
    with pytest.raises(ValueError, match=r"log\.csv is damaged") as raised:
        read_log(tmp_path / "log.csv")
    assert "\n" not in str(raised.value)


def test_dynamics_with_another_log(tmp_path: Path) -> None:
    def run(steps: int) -> None:
        settings = MDSettings(steps=steps, log_interval=1, seed=1)
        run_md(copper(0), EMT(), settings, output=tmp_path, resume=True, progress=False)

    run(2)
    log = tmp_path / "log.csv"
    log.write_bytes(log.read_bytes().replace(b"1", b"x"))
    with pytest.raises(ValueError, match=r"log\.csv is damaged"):
        run(4)
