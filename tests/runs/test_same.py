"""Which settings may change when a run resumes."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from ase_geomformer.runs.folder import RunFolder, start_folder
from ase_geomformer.runs.same import check_same

pytestmark = pytest.mark.quick


@dataclass(frozen=True)
class Inner:
    width: int = 3


@dataclass(frozen=True)
class Outer:
    steps: int = 5
    inner: Inner = field(default_factory=Inner)
    loose: dict[str, int] = field(default_factory=dict)
    mesh: tuple[int, ...] | None = None


STORED = {"steps": 5, "inner": {"width": 3}, "loose": {"a": 1}, "mesh": [2, 2]}
SAME = Outer(loose={"a": 1}, mesh=(2, 2))


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"steps": 6}, "steps was 5 in the run to resume and is 6 now"),
        ({"inner": Inner(4)}, "inner.width was 3"),
        ({"loose": {"a": 1, "b": 2}}, "loose was"),
        ({"mesh": None}, "mesh was"),
    ],
)
def test_settings_that_changed_are_named(changes: dict[str, object], named: str) -> None:
    check_same(STORED, SAME)
    changed = replace(SAME, **changes)
    with pytest.raises(ValueError, match=named):
        check_same(STORED, changed)
    check_same(STORED, changed, free=("steps", "inner", "loose", "mesh"))


def test_a_setting_newer_than_the_run_counts_as_its_default() -> None:
    old = {name: value for name, value in STORED.items() if name != "steps"} | {"inner": {}}
    check_same(old, SAME)
    with pytest.raises(ValueError, match="steps was 5"):
        check_same(old, replace(SAME, steps=6))


def test_inputs_are_compared_but_not_where_they_lie(tmp_path: Path) -> None:
    written = {"potential": "a", "structure": "here.xyz", "device": "cpu", **STORED}
    start_folder(tmp_path, written)
    folder = RunFolder(tmp_path, resume=True)
    folder.check_settings(SAME, inputs={"potential": "a", "structure": "there", "device": "cuda"})
    with pytest.raises(ValueError, match="potential was 'a' .* is 'b' now"):
        folder.check_settings(SAME, inputs={"potential": "b"})
