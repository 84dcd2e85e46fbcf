"""Every example runs as a user would run it, with the potential that is shipped."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from ase.build import molecule
from ase.io import read

from ase_geomformer import load_potential
from ase_geomformer.checkpoint.folder import Card, save_potential
from ase_geomformer.registry import find_potential, list_potentials

POTENTIAL = "so3krates-rmd17-ethanol"
SILICON = "so3krates-mlearn-si"


@pytest.fixture
def examples(root: Path) -> Path:
    return root / "md_examples"


def test_no_example_is_forgotten(examples: Path, root: Path) -> None:
    tests = "".join(file.read_text(encoding="utf-8") for file in root.glob("tests/**/test_*.py"))
    untested = [
        file.name
        for file in examples.glob("*.py")
        if not {f'"{file.name}"', f'"{file.stem}"'} & set(re.findall(r'"[\w.]+"', tests))
    ]
    assert untested == []


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


def run_example(
    examples: Path, run_python: Callable, folder: Path, name: str, *arguments: str
) -> tuple[str, Path]:
    """What an example says, and its folder of output; it must write nothing else."""
    output = folder / "output"
    script = str(examples / f"{name}.py")
    done = run_python(script, *arguments, "--output", str(output), cwd=folder)
    assert [file.name for file in folder.iterdir()] == ["output"]
    return done.stdout, output


def test_restart(examples: Path, run_python: Callable, tmp_path: Path) -> None:
    said, output = run_example(examples, run_python, tmp_path, "restart", "--steps", "20")
    assert "largest difference of positions 0.0 Å" in said
    assert "same log: True" in said
    assert (output / "two" / "md.png").exists()


@pytest.mark.skipif(SILICON not in list_potentials(), reason=f"{SILICON} is not shipped yet")
def test_silicon_expansion(examples: Path, run_python: Callable, tmp_path: Path) -> None:
    said, output = run_example(
        examples, run_python, tmp_path, "silicon_expansion", "--steps", "80", "--repeat", "1"
    )
    constants = [float(text) for text in re.findall(r"a = (\d\.\d+) ±", said)]
    assert len(constants) == 4
    assert all(5.3 < constant < 5.7 for constant in constants)
    assert (output / "expansion.png").exists()
    assert (output / "replica_3" / "restart.npz").exists()


def test_replica_exchange(examples: Path, run_python: Callable, tmp_path: Path) -> None:
    said, output = run_example(examples, run_python, tmp_path, "replica_exchange", "--steps", "110")
    assert len(re.findall(r"\d+% of the exchanges accepted", said)) == 3
    assert re.search(r"\d+% of the frames are anti", said)
    assert (output / "replicas.png").exists()
    assert (output / "conformers.png").exists()


def test_active_learning(examples: Path, run_python: Callable, tmp_path: Path) -> None:
    members = []
    for seed in (1, 2):
        potential = load_potential(POTENTIAL)
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for weight in potential.parameters():
                noise = torch.randn(weight.shape, generator=generator, dtype=weight.dtype)
                weight += 0.003 * noise * weight.abs()
        members.append(tmp_path / "members" / f"{POTENTIAL}-{seed}")
        save_potential(potential, members[-1], Card(members[-1].name), [molecule("CH3CH2OH")])
    (tmp_path / "run").mkdir()
    said, output = run_example(
        examples, run_python, tmp_path / "run", "active_learning", "--steps", "60",
        "--threshold", "0.001", "--potentials", *map(str, members),
    )  # fmt: skip
    (number,) = re.findall(r"(\d+) frames to label", said)
    assert int(number) == len(read(output / "harvest.extxyz", index=":")) >= 1
    assert (output / "spread.png").exists()
