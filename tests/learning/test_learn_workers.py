"""Learning with several workers: a process that is killed costs its label only."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ase.calculators.emt import EMT

from ase_geomformer.learning.identity import structure_key
from ase_geomformer.learning.label import STORE_FILE
from ase_geomformer.learning.label_settings import LabelSettings
from ase_geomformer.learning.result import LearnResult
from ase_geomformer.learning.run import learn
from ase_geomformer.learning.store import LabelStore
from ase_geomformer.learning.teacher import Teacher
from tests.learning.small import SHORT, crystal, without_extras

# The call in which a process ends: one of many that are asked for together.
AT = 10


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LearnResult]:
    """A run in one process; this one and those of the tests are without extras."""
    output = tmp_path_factory.mktemp("whole") / "out"
    with without_extras():
        yield learn(crystal(), EMT(), SHORT, output=output, progress=False)


def labelled(result: LearnResult) -> list[str]:
    """Structures in the store, sorted: they come in another order from several workers."""
    assert result.output is not None
    return sorted(
        structure_key(frame.atoms) for frame in LabelStore(result.output / STORE_FILE).frames
    )


def check(result: LearnResult, whole: LearnResult, log: Path, failed: int) -> None:
    """The run is as one in one process, but for one call that was made twice."""
    assert labelled(result) == labelled(whole)
    assert result.errors == whole.errors
    assert result.failed_calls == failed
    assert result.calls == whole.calls + failed
    calls = log.read_text().split()
    assert len(calls) == whole.calls + 1
    assert len(set(calls)) == whole.calls


def test_a_worker_process_that_is_killed_costs_its_label(
    whole: LearnResult, teachers: str, tmp_path: Path
) -> None:
    log = tmp_path / "calls"
    teacher = Teacher(f"{teachers}:Fatal", {"log": str(log), "at": AT})
    settings = replace(SHORT, labels=LabelSettings(workers=2))
    result = learn(crystal(), teacher, settings, output=tmp_path / "out", progress=False)
    check(result, whole, log, failed=1)
    (failure,) = LabelStore(tmp_path / "out" / STORE_FILE).failures
    assert "ended with signal 9" in failure.reason


def test_a_dask_worker_that_is_killed_costs_its_label(
    whole: LearnResult, client: Any, tmp_path: Path
) -> None:
    log = tmp_path / "calls"
    arguments = {"log": str(log), "at": AT, "parent": True}
    teacher = Teacher("tests.learning.teachers:Fatal", arguments)
    workers = set(client.run(os.getpid).values())
    result = learn(
        crystal(), teacher, SHORT, output=tmp_path / "out", progress=False, cluster=client
    )
    # Another worker has done what the dead one had begun.
    check(result, whole, log, failed=0)
    assert workers - set(client.run(os.getpid).values())
