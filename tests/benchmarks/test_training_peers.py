"""Training steps in turns: what is measured, without the packages of peers."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ase_geomformer import load_potential

pytestmark = pytest.mark.quick
SCRIPTS = "benchmarks/peers/training"


def run(root: Path, folder: Path, *words: str) -> tuple[dict[str, Any], str]:
    """The figures and what was printed."""
    file = folder / "peers.json"
    size = ["--frames", "2", "--batches", "1", "--turns", "1", "--steps", "2"]
    command = [sys.executable, "benchmarks/training_peers.py", "--dry", "--output", str(file)]
    shown = subprocess.run(
        [*command, *size, *words], check=True, cwd=root, capture_output=True, text=True
    )
    return json.loads(file.read_text()), shown.stdout


def test_dry_run(root: Path, tmp_path: Path) -> None:
    found, shown = run(root, tmp_path, "--peers", str(tmp_path))
    (row,) = found["rows"]
    assert row["cpu_median_ms"] >= row["cpu_min_ms"] > 0.0
    assert row["frames_per_cpu_s"] == pytest.approx(2e3 / row["cpu_median_ms"])
    shipped = load_potential("so3krates-rmd17-ethanol")
    assert row["weights"] == sum(one.numel() for one in shipped.parameters())
    # It learns.
    assert row["loss"] < row["first_loss"]
    scripts = {path.stem for path in (root / SCRIPTS).glob("[!_]*.py")}
    assert {"nequip_s", "painn", "mace_l1"} <= scripts
    assert all(f"{name}: skipped" in shown for name in scripts)
