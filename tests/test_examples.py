"""Every example runs as a user would run it, with the potential that is shipped."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from ase.io import read

from ase_geomformer.registry import find_potential

POTENTIAL = "so3krates-rmd17-ethanol"
TESTED = {"ethanol_nvt.py", "ethanol_four_lines.py"}


@pytest.fixture
def examples(root: Path) -> Path:
    return root / "md_examples"


def test_no_example_is_forgotten(examples: Path) -> None:
    assert {file.name for file in examples.glob("*.py")} == TESTED


def test_ethanol_nvt(examples: Path, run_python: Callable, tmp_path: Path) -> None:
    output = tmp_path / "output"
    script = examples / "ethanol_nvt.py"
    done = run_python(str(script), "--steps", "100", "--output", str(output), cwd=tmp_path)
    for text in ("100/100", "ns/day", "temperature", "drift of conserved energy"):
        assert text in done.stdout
    assert [file.name for file in tmp_path.iterdir()] == ["output"]
    result = json.loads((output / "result.json").read_text())
    card = json.loads((find_potential(POTENTIAL) / "card.json").read_text())
    assert result["completed"] is True
    assert result["provenance"]["potential"]["sha256"] == card["sha256"]
    assert 50.0 < result["averages"]["temperature_K"]["mean"] < 600.0
    assert len(read(output / "trajectory.traj", index=":")) == 11
    assert (output / "md.png").exists()
    with (output / "log.csv").open() as file:
        conserved = [float(row["conserved_energy_eV"]) for row in csv.DictReader(file)]
    assert max(conserved) - min(conserved) < 0.02


def test_ethanol_four_lines(examples: Path, run_python: Callable, tmp_path: Path) -> None:
    done = run_python(str(examples / "ethanol_four_lines.py"), cwd=tmp_path)
    (energy,) = re.findall(r"energy (-?\d+\.\d+) eV", done.stdout)
    rows = [line.split() for line in done.stdout.splitlines() if re.match(r"\d", line)]
    assert len(rows) == 11
    totals = [float(row[1]) for row in rows]
    assert totals[0] == pytest.approx(float(energy), abs=1e-3)
    assert max(totals) - min(totals) < 2e-2
    assert not list(tmp_path.iterdir())
