"""What a benchmark calls plain is not compiled, whatever lies in the cache of compiled code."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import pytest

pytestmark = pytest.mark.quick


@pytest.mark.parametrize("name", ["inference", "md", "speed"])
def test_every_kind_says_whether_it_is_compiled(
    name: str, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(root / "benchmarks")
    kinds = import_module(f"benchmarks.{name}").KINDS
    assert {kind: "compiled" in kind for kind in kinds} == {
        kind: settings["compile"] for kind, settings in kinds.items()
    }
