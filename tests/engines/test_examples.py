"""The examples of other engines, each at a reduced size; skipped where its engine is missing."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest


def test_quantum_nuclei(root: Path, run_python: Callable, tmp_path: Path) -> None:
    pytest.importorskip("ipi", reason="i-PI is not installed")
    script = root / "md_examples" / "ethanol_quantum_nuclei.py"
    done = run_python(
        str(script), "--steps", "20", "--beads", "4", "--compile", "false",
        "--output", str(tmp_path / "output"), cwd=tmp_path,
    )  # fmt: skip
    rows = re.findall(r"^([CHO])\s+(\S+) ± \S+\s+(\S+)\s+(\S+)$", done.stdout, re.MULTILINE)
    harmonic = {symbol: float(number) for symbol, _, number, _ in rows}
    assert set(harmonic) == {"C", "O", "H"}
    # Bonds to hydrogen are stiff: far above 3/2 kT, which is what heavy atoms are near to.
    assert 120.0 < harmonic["H"] < 180.0
    assert 38.8 < harmonic["O"] < harmonic["C"] < 100.0
    assert (tmp_path / "output" / "pimd.png").is_file()
