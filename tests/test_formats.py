"""Potentials, run folders and settings files of every format version are still read.

``fixtures/vN`` holds what the package wrote when its potentials had format version N; its make.py
tells how. Runs there were killed on their way, and beside them lies what they gave unkilled.
"""

from __future__ import annotations

import csv
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from ase.io import read

from ase_geomformer import PotentialCalculator, load_potential
from ase_geomformer.accuracy.readme.checks import read_checks
from ase_geomformer.checkpoint import verify
from ase_geomformer.checkpoint.card import FORMAT_VERSION
from ase_geomformer.cli import main
from ase_geomformer.commands import VERBS, load

FIXTURES = Path(__file__).parent / "fixtures"
VERSIONS = sorted(int(path.name[1:]) for path in FIXTURES.glob("v*"))
# Processors of different kinds round differently, and ten steps of dynamics make little more of it.
RELATIVE = 1e-9
# Muon made its matrices orthogonal in bfloat16 when version 1 was written, and does so in float32
# now: 1.3e-5 after the four steps that are left to it.
RELATIVE_TRAINING = 3e-5
# Frequencies are roots: rounding of force constants makes 1e-8 THz of those that are zero.
ABSOLUTE = 1e-7
OF_THE_PROCESS = {"provenance", "wall_time_s", "ns_per_day", "steps_per_second", "list_rebuilds"}
# All that can be compared of a run: one resumes at its last images without the memory of its
# optimiser, in the other a crystal collapses, and what is fitted to its volumes means nothing.
COMPARED = {"neb": "nothing", "qha": r"\.(static_volume|volumes|energies|temperatures)_"}


def folder_of(version: int) -> Path:
    return FIXTURES / f"v{version}"


def runs_of(version: int, kind: str) -> dict[str, Any]:
    text = (folder_of(version) / "runs.yaml").read_text(encoding="utf-8")
    runs: dict[str, Any] = yaml.safe_load(text)[kind]
    return runs


def settings_of(version: int) -> dict[str, Path]:
    """A settings file of each verb."""
    folder = folder_of(version)
    found = {}
    for kind, place in {"resumed": "runs", "settings": "settings"}.items():
        for name, run in runs_of(version, kind).items():
            line = run[1] if kind == "resumed" else run
            found[line.split()[0]] = folder / place / name / "settings.yaml"
    return found


# Options that had another name.
FORMER_NAMES = {
    ("neb", "relax_ends"): "relax",
    ("eos", "relax_first"): "relax",
    ("elastic", "relax_first"): "relax",
    ("evaluate", "data"): "structure",
}
POTENTIALS = [path for n in VERSIONS for path in sorted((folder_of(n) / "potentials").iterdir())]
SETTINGS = [(n, verb) for n in VERSIONS for verb in settings_of(n)]
# Fine-tuning takes a minute, and needs its potential beside the settings.
FINISHED = [(n, name) for n in VERSIONS for name in runs_of(n, "settings") if name != "finetune"]
RESUMED = [(n, name) for n in VERSIONS for name in runs_of(n, "resumed")]


@pytest.fixture
def old(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of a version's folder, which is the working directory: the runs name files in it."""
    copy = tmp_path / f"v{request.param}"
    shutil.copytree(folder_of(request.param), copy)
    monkeypatch.chdir(copy)
    return copy


@pytest.mark.parametrize("path", POTENTIALS, ids=lambda path: f"{path.parts[-3]}-{path.name}")
def test_old_potentials(path: Path) -> None:
    potential = load_potential(path)
    assert potential.card is not None
    assert potential.card.name == path.name
    assert potential.card.data[0].level_of_theory == "PBE"
    assert potential.card.format_version == FORMAT_VERSION
    assert max(verify(potential).values()) < 1e-8
    calculator = PotentialCalculator(
        path, device="cpu", dtype="float64", radial_tables=False, long_range="published"
    )
    content = json.loads((path / "card.json").read_text(encoding="utf-8"))
    assert len(content["golden"]) == 2
    for vector, stored in zip(potential.card.golden, content["golden"], strict=True):
        atoms = vector.to_atoms()
        atoms.calc = calculator
        assert atoms.get_potential_energy() == pytest.approx(stored["energy"], abs=1e-8)
        np.testing.assert_allclose(atoms.get_forces(), stored["forces"], atol=1e-8)
        assert np.abs(stored["forces"]).max() > 0.0
        if stored["stress"] is not None:
            stress = atoms.get_stress(voigt=False)
            np.testing.assert_allclose(stress, stored["stress"], atol=1e-8)
    (check,) = read_checks(path).values()
    assert check.sha256 == potential.card.sha256


def test_there_is_something_of_every_version_before() -> None:
    """Whoever raises the version leaves a folder of what the one before wrote."""
    assert set(range(1, FORMAT_VERSION)) <= set(VERSIONS)


def test_old_verbs_are_still_there() -> None:
    for version in VERSIONS:
        assert settings_of(version).keys() <= set(VERBS)


@pytest.mark.parametrize(
    ("version", "verb"), SETTINGS, ids=[f"v{version}-{verb}" for version, verb in SETTINGS]
)
def test_old_settings_are_read(
    version: int, verb: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By ``--config``, with every value taken over; what they do is tested below."""
    path = settings_of(version)[verb]
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    seen: list[Any] = []
    monkeypatch.setattr(load(verb), "run", lambda options: seen.append(options) or 0)
    further = ["--potential", content["model"]["start_from"]] if verb == "finetune" else []
    assert main([verb, "--config", str(path), *further, "--output", str(tmp_path)]) == 0
    (options,) = seen
    assert content
    for name, value in content.items():
        name = FORMER_NAMES.get((verb, name), name)
        assert as_plain(options[name], value) == value, name


@pytest.mark.parametrize(
    ("old", "name"), FINISHED, indirect=["old"], ids=[f"v{n}-{name}" for n, name in FINISHED]
)
def test_old_settings_run(old: Path, name: str) -> None:
    verb = runs_of(int(old.name[1:]), "settings")[name].split()[0]
    assert main([verb, "--config", f"settings/{name}/settings.yaml", "--output", "new"]) < 2
    assert Path("new", "result.json").is_file()


def as_plain(option: Any, like: Any) -> Any:
    """An option as plain values: of settings in settings, those that a file has."""
    if isinstance(like, dict):
        fields = option if isinstance(option, dict) else vars(option)
        return {name: as_plain(fields[name], value) for name, value in like.items()}
    return option


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
@pytest.mark.parametrize(
    ("old", "name"), RESUMED, indirect=["old"], ids=[f"v{n}-{name}" for n, name in RESUMED]
)
def test_old_runs_resume(old: Path, name: str) -> None:
    """To the same end as the run that was never killed."""
    _, line = yaml.safe_load((old / "runs.yaml").read_text(encoding="utf-8"))["resumed"][name]
    if name == "conductivity":
        pytest.importorskip("phono3py")
    words = line.split()
    # Sums of long range were always those of the card before there was a choice.
    words += ["--long_range", "published"] if "potentials/charged" in line else []
    quiet = "--run.progress=false" if words[0] == "train" else "--progress=false"
    folder = Path("runs", name)
    assert not (folder / "result.json").exists()
    assert main([*words, quiet, "--output", str(folder), "--resume"]) < 2
    expected = dict(numbers_in(Path("whole", name)))
    found = dict(numbers_in(folder))
    assert "result.json" in {key.split(":")[0] for key in expected}
    assert expected.keys() <= found.keys()
    for key, value in expected.items():
        assert len(found[key]) == len(value), key
        if not re.search(COMPARED.get(name, ""), key):
            continue
        largest = np.abs(np.nan_to_num(value)).max(initial=0.0)
        relative = RELATIVE_TRAINING if name == "train" else RELATIVE
        tolerance = relative * largest + (0.0 if "csv" in key else ABSOLUTE)
        np.testing.assert_allclose(found[key], value, rtol=0.0, atol=tolerance, err_msg=key)


def numbers_in(folder: Path) -> Iterator[tuple[str, list[float]]]:
    """Results, logs and final structures, in the folder and those inside it."""
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder)
        if path.name == "result.json":
            content = json.loads(path.read_text(encoding="utf-8"))
            yield from ((f"{name}:{key}", [value]) for key, value in flattened(content, ""))
        elif path.name in ("log.csv", "metrics.csv"):
            with path.open(encoding="utf-8", newline="") as file:
                rows = list(csv.DictReader(file))
            for column in rows[0].keys() - OF_THE_PROCESS:
                yield f"{name}:{column}", [float(row[column] or "nan") for row in rows]
        elif path.name == "final.extxyz":
            atoms = read(path)
            yield f"{name}:positions", atoms.positions.ravel().tolist()
            yield f"{name}:cell", atoms.cell.array.ravel().tolist()


def flattened(value: Any, name: str) -> Iterator[tuple[str, float]]:
    """The numbers of nested lists and dictionaries."""
    if isinstance(value, dict):
        for key, entry in value.items():
            if key not in OF_THE_PROCESS:
                yield from flattened(entry, f"{name}.{key}")
    elif isinstance(value, list):
        for place, entry in enumerate(value):
            yield from flattened(entry, f"{name}.{place}")
    elif isinstance(value, int | float):
        yield name, float(value)
