"""The examples of other engines, each at a reduced size; skipped where its engine is missing."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
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


def test_metadynamics(root: Path, run_python: Callable, tmp_path: Path) -> None:
    openmm = pytest.importorskip("openmm", reason="OpenMM is not installed")
    if not hasattr(openmm, "PythonForce"):
        pytest.skip("OpenMM is older than 8.5")
    script = root / "md_examples" / "ethanol_metadynamics.py"
    done = run_python(
        str(script), "--steps", "200", "--compile", "false", "--output", str(tmp_path / "output"),
        cwd=tmp_path,
    )  # fmt: skip
    rows = re.findall(r"^\s*(\S+) degrees\s+(\S+) ± (\S+) kJ/mol$", done.stdout, re.MULTILINE)
    assert len(rows) == 7
    table = np.loadtxt(tmp_path / "output" / "free_energy.csv", delimiter=",")
    assert table[:, 1].min() == 0.0
    # Four hills of 0.5 kJ/mol have been put where the run began, and nowhere else by far.
    assert 0.5 < table[:, 1].max() < 5.0
    np.testing.assert_allclose(table[:, 1], table[::-1, 1], atol=1e-4)
