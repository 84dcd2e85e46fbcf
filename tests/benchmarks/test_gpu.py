"""The GPU script runs, and a run that is out of time says so."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest


def run(root: Path, folder: Path, *words: str) -> tuple[list[dict[str, Any]], str]:
    """The rows and the table."""
    files = ["--output", str(folder / "gpu.json"), "--table", str(folder / "gpu.md")]
    command = [sys.executable, str(root / "benchmarks" / "gpu.py"), "--dry", *files, *words]
    subprocess.run(command, check=True, cwd=root, capture_output=True)
    content = json.loads((folder / "gpu.json").read_text())
    return content["rows"], (folder / "gpu.md").read_text()


def test_dry_run(root: Path, tmp_path: Path) -> None:
    rows, table = run(root, tmp_path)
    measured = [row for row in rows if "ms" in row]
    assert all(row["ms"] > 0.0 for row in measured)
    assert {(row["part"], row["kind"]) for row in measured} >= {
        ("neighbour list", "torch"),
        ("step", "plain"),
        ("step", "compiled in the process"),
        ("large", "plain"),
        ("training step", "plain"),
    }
    expected = {"not installed", "left out of a dry run"}
    assert {row["note"] for row in rows if "ms" not in row} <= expected
    assert table.count("\n| ") == len(rows) + 2  # and the head


@pytest.mark.quick
def test_without_time_everything_is_named_and_nothing_done(root: Path, tmp_path: Path) -> None:
    rows, table = run(root, tmp_path, "--minutes", "0")
    assert rows
    assert all(row["note"].startswith("left out: 0 s left") for row in rows)
    assert "left out: 0 s left" in table
