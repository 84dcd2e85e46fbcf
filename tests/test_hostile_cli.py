"""Whatever files say, the command line answers in one line, with exit code 2 and no traceback."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase.build import molecule
from ase.io import write

from ase_geomformer.cli import main
from ase_geomformer.registry import find_potential

NAME = "so3krates-rmd17-ethanol"


@pytest.fixture(scope="module")
def ethanol_file(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("structure") / "ethanol.xyz"
    write(path, molecule("CH3CH2OH"))
    return str(path)


@pytest.fixture
def error_of(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """The one line that a command ends with."""

    def error(*arguments: str | Path) -> str:
        assert main(list(map(str, arguments))) == 2
        found = capsys.readouterr()
        assert found.err.count("\n") == 1, found.err
        assert found.err.startswith("ase-geomformer: error: ")
        assert len(found.err) < 2000
        return found.err

    return error


# Settings

SETTINGS = {
    "guards: 5": "--guards: expected a mapping",
    "guards: [1]": "--guards: expected a mapping",
    "guards: null": "--guards: expected a mapping",
    "guards: {x: 1}": "does not accept option 'x'",
    "nonsense: {a: 1}": "'nonsense.a' is not accepted",
    "nonsense: 5": "'nonsense' is not accepted",
    "temperature_K: [1]": "--temperature_K: expected float",
    "temperature_K: {a: 1}": "--temperature_K: expected float",
    "temperature_K: .nan": "temperature_K = nan must be a finite number",
    "steps: 1e400": "--steps: expected int",
    "steps: -1": "steps = -1 must be",
    "structure: 5": "--structure: expected str",
    "index: {a: 1}": "cannot read index",
    "output: [1]": "--output: expected str",
    "[1, 2]": "Unexpected config",
    "": "Unexpected config",
    "? [a]\n: 1": "not valid YAML",
    "1: 2": "must be a string",
    "a: !!python/object/apply:os.system ['touch planted']": "could not determine a constructor",
    "\x00": "not valid YAML",
}


@pytest.mark.parametrize("text", SETTINGS)
def test_settings_of_md(
    text: str, ethanol_file: str, tmp_path: Path, error_of: Callable[..., str]
) -> None:
    path, output = tmp_path / "md.yaml", tmp_path / "run"
    path.write_text(text)
    given = {"potential": NAME, "structure": ethanol_file, "output": output}
    options = [word for name, value in given.items() if f"{name}:" not in text
               for word in (f"--{name}", value)]  # fmt: skip
    options += ["--seed=1"] if "steps" in text else ["--steps=1"]
    assert SETTINGS[text] in error_of("md", path, *options)
    assert not output.exists()
    assert not Path("planted").exists()


TRAININGS = {
    "model: 5": "--model: expected a mapping",
    "run: [1]": "--run: expected a mapping",
    "loss: {forces: 5}": "--loss.forces: expected a mapping",
    "loss: null": "--loss.energy: expected a mapping",
    "model: {settings: 5}": "--model.settings: expected dict",
    "data: {path: 5}": "--data.path: expected",
    "nonsense: {a: 1}": "'nonsense.a' is not accepted",
}


@pytest.mark.parametrize("text", TRAININGS)
def test_settings_of_train(
    text: str, ethanol_file: str, tmp_path: Path, error_of: Callable[..., str]
) -> None:
    path = tmp_path / "train.yaml"
    path.write_text(text)
    options = [] if "path" in text else ["--data.path", ethanol_file]
    error = error_of("train", path, "--output", tmp_path / "run", "--name", "x", *options)
    assert TRAININGS[text] in error


# Paths


@pytest.mark.parametrize(
    "arguments",
    [
        ("singlepoint", "--potential", NAME, "--structure", "~nosuchuser/x.xyz"),
        ("singlepoint", "--potential", "~nosuchuser/x", "--structure", "FILE"),
        ("md", "--potential", NAME, "--structure", "FILE", "--output", "~nosuchuser/x"),
        ("evaluate", "--potential", NAME, "--structure", "~nosuchuser/x", "--output", "x"),
        ("md", "--config", "~nosuchuser/x.yaml"),
        ("train", "--output", "~nosuchuser/x", "--name", "x", "--data.path", "FILE"),
    ],
)
def test_homes_of_nobody(
    arguments: tuple[str, ...], ethanol_file: str, error_of: Callable[..., str]
) -> None:
    words = [ethanol_file if word == "FILE" else word for word in arguments]
    assert "a user who does not exist" in error_of(*words)


@pytest.mark.parametrize(
    "arguments",
    [
        ("md", "--config", "PIPE"),
        ("md", "--config=PIPE"),
        ("md", "--config", "/dev/zero"),
        ("singlepoint", "--potential", NAME, "--structure", "PIPE"),
        ("evaluate", "--potential", NAME, "--structure", "PIPE", "--output", "x"),
        ("phonons", "--potential", NAME, "--structure", "CRYSTAL", "--output", "OUT", "--nac",
         "born", "--born_file", "PIPE"),
        ("convert", "so3lr", "PIPE", "OUT"),
    ],
)  # fmt: skip
def test_pipes_and_devices(
    arguments: tuple[str, ...], tmp_path: Path, error_of: Callable[..., str]
) -> None:
    from ase.build import bulk

    os.mkfifo(tmp_path / "pipe")
    write(tmp_path / "crystal.xyz", bulk("C", cubic=True))
    names = {"PIPE": "pipe", "CRYSTAL": "crystal.xyz", "OUT": "out"}
    words = [
        word if word not in names else str(tmp_path / names[word])
        for word in (part.replace("PIPE", str(tmp_path / "pipe")) for part in arguments)
    ]
    error_of(*words)


def test_a_structure_of_one_endless_line(tmp_path: Path, error_of: Callable[..., str]) -> None:
    for name in ("x.xyz", "x.cif"):
        with (tmp_path / name).open("wb") as file:
            file.write(b"1\n" + b"x" * 150_000_000)
        words = ["singlepoint", "--potential", NAME, "--structure", tmp_path / name]
        assert "a line of more than 16 MB" in error_of(*words)
        (tmp_path / name).unlink()


# Restart files


@pytest.fixture(scope="module")
def half(ethanol_file: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two steps."""
    folder = tmp_path_factory.mktemp("half") / "run"
    words = ["md", "--potential", NAME, "--structure", ethanol_file, "--output", str(folder)]
    assert main([*words, "--steps", "2", "--progress=false", "--compile=false"]) == 0
    return folder


FACTS: dict[str, Any] = {
    "step": -1,
    "settings": None,
    "random_state": {"state": 5},
    "files": {"log": 10**30, "trajectory": [1], "harvest": [0, 0, -1]},
    "constraints": [{"name": "Planted", "kwargs": {}}],
    "info": '{"__ase_objtype__": "atoms"}',
    "wall_time_s": "[/red]\x1b]0;x\x07",
    "version": 10**30,
}


@pytest.mark.parametrize("name", [*FACTS, "no archive", "not even facts", "numbers"])
def test_restart_files(
    name: str, half: Path, ethanol_file: str, tmp_path: Path, error_of: Callable[..., str]
) -> None:
    folder = tmp_path / "run"
    shutil.copytree(half, folder)
    path = folder / "restart.npz"
    with np.load(path) as stored:
        arrays = {key: stored[key] for key in stored.files}
    facts = json.loads(str(arrays["facts"]))
    if name in FACTS:
        arrays["facts"] = np.array(json.dumps({**facts, name: FACTS[name]}))
    elif name == "not even facts":
        arrays["facts"] = np.array("[" * 5000)
    elif name == "numbers":
        key = next(key for key in arrays if key.endswith("numbers"))
        arrays[key] = arrays[key] + 500
    np.savez(path, **arrays)
    if name == "no archive":
        path.write_bytes(b"junk" * 100)
    before = (folder / "log.csv").read_bytes()
    words = ["md", "--potential", NAME, "--structure", ethanol_file, "--output", folder]
    error = error_of(*words, "--resume", "--steps", "4", "--progress=false", "--compile=false")
    assert "restart.npz" in error
    assert "\x1b" not in error
    assert (folder / "log.csv").read_bytes() == before


# Cards

GOLDEN: dict[str, Any] = {
    "atomic_numbers": [[-1] * 9, [500] * 9, [10**30] * 9, [1.5] * 9, None, "x", [], [[1]], {}],
    "positions": [None, "x", [[0, 0]], [[1e308] * 3] * 9, [["x"] * 3] * 9],
    "cell": [5, [[1]], [["x"] * 3] * 3],
    "pbc": [5, ["x"] * 3],
    "energy": ["x", [], {}],
    "forces": ["x", [[0]], 5],
}
CASES = [(field, value) for field, values in GOLDEN.items() for value in values]


@pytest.mark.parametrize("case", range(len(CASES)))
def test_golden_vectors(case: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """They are refused as a part of the card, or told by `models verify` to differ."""
    field, value = CASES[case]
    folder = tmp_path / "potential"
    shutil.copytree(find_potential(NAME), folder)
    content = json.loads((folder / "card.json").read_text())
    assert field in content["golden"][0], content["golden"][0].keys()
    content["golden"][0][field] = value
    (folder / "card.json").write_text(json.dumps(content))
    code = main(["models", "verify", str(folder)])
    error = capsys.readouterr().err
    assert code in (1, 2)
    assert 1 <= error.count("\n") <= 2
    assert "Traceback" not in error
