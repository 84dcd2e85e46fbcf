"""Restart files that were damaged or changed end in one clear error, or resume as they were."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.lj import LennardJones
from matplotlib.figure import Figure

from ase_geomformer.md import MDSettings, run_md
from ase_geomformer.md.replicas import ReplicaSettings, run_replicas

VALUES = (None, -1, 1.5, "x", [], {}, 10**30, float("nan"))
OF_A_REPLICA = (None, "x")
LOOSE = {"steps_per_second", "list_rebuilds"}
SETTINGS = MDSettings(
    temperature_K=30.0, timestep_fs=5.0, steps=8, log_interval=1, trajectory_interval=2,
    checkpoint_interval=4,
)  # fmt: skip


@pytest.fixture(autouse=True)
def plain_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures cost more than these runs, and are tested elsewhere."""
    for place in ("md", "md.replicas"):
        name = f"ase_geomformer.{place}.figure.plot"
        monkeypatch.setattr(name, lambda *_: Figure(figsize=(1, 1)))


def argon() -> Atoms:
    return bulk("Ar", "fcc", a=5.3, cubic=True)


def pairs() -> LennardJones:
    return LennardJones(sigma=3.4, epsilon=0.0104, rc=6.0, smooth=True)


def paths(value: Any, above: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every field of facts, those of nested ones too."""
    if above:
        yield above
    if isinstance(value, dict):
        for name in value:
            yield from paths(value[name], (*above, name))
    elif isinstance(value, list):
        for index in range(len(value)):
            yield from paths(value[index], (*above, index))


def tampered(facts: Any, path: tuple[Any, ...], value: Any) -> Any:
    changed = deepcopy(facts)
    place = changed
    for name in path[:-1]:
        place = place[name]
    place[path[-1]] = value
    return changed


def without(facts: Any, path: tuple[Any, ...]) -> Any:
    changed = deepcopy(facts)
    place = changed
    for name in path[:-1]:
        place = place[name]
    del place[path[-1]]
    return changed


def stored(path: Path) -> tuple[Any, dict[str, np.ndarray]]:
    with np.load(path) as found:
        arrays = {name: found[name] for name in found.files}
    return json.loads(str(arrays.pop("facts"))), arrays


def store(path: Path, facts: Any, arrays: dict[str, np.ndarray]) -> None:
    np.savez(path, facts=np.array(json.dumps(facts)), **arrays)


def logs(folder: Path) -> list[str]:
    """The logs of a run, without what tells of the process."""
    found = []
    for path in sorted(folder.rglob("log.csv")):
        rows = [line.split(",") for line in path.read_text().splitlines()]
        kept = [i for i, name in enumerate(rows[0]) if name not in LOOSE]
        found += [",".join(row[i] for i in kept) for row in rows]
    return found


class Fuzz:
    """A run that is under way, resumed with other restart files."""

    def __init__(self, folder: Path, resume: Callable[[Path], Any]) -> None:
        self.folder, self.resume = folder, resume
        self.facts, self.arrays = stored(folder / "half" / "restart.npz")
        shutil.copytree(folder / "half", folder / "whole")
        resume(folder / "whole")
        self.expected = logs(folder / "whole")
        self.refused, self.equal = 0, list[object]()

    def __call__(self, facts: Any, arrays: dict[str, np.ndarray], what: object) -> None:
        place = self.folder / "changed"
        shutil.rmtree(place, ignore_errors=True)
        shutil.copytree(self.folder / "half", place)
        store(place / "restart.npz", facts, arrays)
        before = logs(place)
        try:
            self.resume(place)
        except (ValueError, FileNotFoundError) as error:
            reason = str(error)
        except Exception as error:
            raise AssertionError(f"{what}: {error!r}") from error
        else:
            assert logs(place) == self.expected, f"{what} resumes as another run"
            self.equal.append(what)
            return
        assert "restart.npz" in reason or "cannot resume:" in reason, f"{what}: {reason}"
        assert logs(place) == before, f"{what} changed the log before it was refused"
        self.refused += 1


def single(trajectory_format: str, ensemble: str = "nvt-langevin") -> Callable[[Path, int], Any]:
    def run(folder: Path, steps: int = SETTINGS.steps) -> None:
        settings = MDSettings(
            **{**vars(SETTINGS), "trajectory_format": trajectory_format, "steps": steps,
               "ensemble": ensemble}
        )  # fmt: skip
        run_md(argon(), pairs(), settings, output=folder, resume=True, progress=False)

    return run


def several(replicas: ReplicaSettings) -> Callable[[Path, int], Any]:
    def run(folder: Path, steps: int = SETTINGS.steps) -> None:
        settings = replace(SETTINGS, steps=steps)
        run_replicas(
            argon(), pairs(), settings, replicas, output=folder, resume=True, progress=False
        )

    return run


RUNS = {
    "traj": single("traj"),
    "h5md": single("h5md", "nvt-nose-hoover"),
    "extxyz": single("extxyz", "nvt-bussi"),
    "replicas": several(ReplicaSettings(copies=2)),
    "exchanges": several(ReplicaSettings(temperatures_K=[30.0, 30.1], exchange_interval=2)),
}


@pytest.fixture(params=RUNS)
def fuzz(request: pytest.FixtureRequest, tmp_path: Path) -> Fuzz:
    run = RUNS[request.param]
    run(tmp_path / "half", 4)
    return Fuzz(tmp_path, run)


def test_every_fact_by_type(fuzz: Fuzz) -> None:
    fields = list(paths(fuzz.facts))
    # The settings of all are checked by one function, which has tests of its own.
    chosen = [path for path in fields if "settings" not in path[:-1] or path[-1] in _SETTINGS]
    # One replica is like the other.
    chosen = [path for path in chosen if path[:2] != ("live", "1") or len(path) < 4]
    for path in chosen:
        for value in VALUES if _in_full(path) else OF_A_REPLICA:
            if path[-1] == "evaluation" and value == "x":
                continue  # a warning, as of an evaluation that is not available here
            if path[-2:] in _ANY_NUMBER and value in (-1, 1.5, 10**30):
                continue
            if (
                path[-1] == "conserved_offset_eV"
                and "exchange" in fuzz.facts
                and value in (-1, 1.5)
            ):
                continue  # of the exchanges before, which nothing else tells
            fuzz(tampered(fuzz.facts, path, value), fuzz.arrays, (path, value))
        if not isinstance(path[-1], int):
            fuzz(without(fuzz.facts, path), fuzz.arrays, (path, "is missing"))
    for whole in VALUES:
        fuzz(whole, fuzz.arrays, whole)
    assert fuzz.refused > 100


def _in_full(path: tuple[Any, ...]) -> bool:
    """Not what a replica shares with a single run: one function reads both, in files of either."""
    return path[0] != "live" or len(path) < 3 or path[-1] in _OF_SETS


_OF_SETS = ("step", "exchanged_temperature_K", "exchanges", "conserved_offset_eV")
# A state of the generator like any other, where only its stream is known.
_ANY_NUMBER = {("state", "state")}
_SETTINGS = ("steps", "guards", "seed", "trajectory_format")


def _at(facts: Any, path: tuple[Any, ...]) -> Any:
    for name in path:
        facts = facts[name]
    return facts


def test_every_array(fuzz: Fuzz) -> None:
    for name, values in fuzz.arrays.items():
        changes: dict[str, np.ndarray] = {
            "text": np.array("x"),
            "longer": np.zeros((*values.shape, 2), values.dtype),
            "empty": np.zeros((0, 3)),
            "complex": values.astype(complex),
        }
        if values.dtype.kind == "f":
            changes["nan"] = np.full_like(values, np.nan)
            changes["single"] = values.astype(np.float16)
        for what, changed in changes.items():
            if what == "single" and "/results/" in f"/{name}":
                continue  # of whatever precision the calculator has
            fuzz(fuzz.facts, {**fuzz.arrays, name: changed}, (name, what))
        lacking = {key: kept for key, kept in fuzz.arrays.items() if key != name}
        if "guards" not in name and "results" not in name:
            fuzz(fuzz.facts, lacking, (name, "is missing"))
    fuzz(fuzz.facts, {**fuzz.arrays, "other/x": np.zeros(3)}, "an array of nothing")
    assert not fuzz.equal
