"""Every exit code other than 0 has its reason on stderr, whatever --progress is."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from ase import Atoms
from ase.build import bulk
from ase.io import write

from ase_geomformer.checkpoint.folder import Card, save_potential
from ase_geomformer.cli import main
from ase_geomformer.potential import Potential
from ase_geomformer.trust import run
from ase_geomformer.trust.check import Check, Figure

# What makes the random potential of the tests miss each verb's goal, and what stderr then says.
FAILURES = {
    "relax": (["--steps", "1"], "the largest force is"),
    "relax-many": (["--steps", "1"], "0 of 1 structures converged"),
    "eos": (["--relax", "false", "--relax_ions", "false"], "no minimum"),
    "vibrations": (["--fmax", "1e9", "--expected_imaginary", "9"], "expected_imaginary is 9"),
    "md": (["--steps", "3", "--guards.max_force_eV_per_A", "1e-9"], "force"),
}  # fmt: skip


@pytest.fixture
def words(potential: Potential, tmp_path: Path) -> list[str]:
    crystal = bulk("Si", cubic=True)
    crystal.rattle(0.05, seed=0)
    save_potential(potential, tmp_path / "p", Card("random"), [crystal])
    write(tmp_path / "si.extxyz", crystal)
    return ["--potential", str(tmp_path / "p"), "--structure", str(tmp_path / "si.extxyz")]


@pytest.mark.parametrize("progress", ["true", "false"])
@pytest.mark.parametrize("verb", FAILURES)
def test_the_reason_is_on_stderr(
    verb: str, progress: str, words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options, reason = FAILURES[verb]
    output = tmp_path / "out"
    command = [verb, *words, *options, "--output", str(output), "--progress", progress]
    assert main(command) == 1
    error = capsys.readouterr().err.strip()
    assert reason in error
    assert error.count("\n") == 0
    content = json.loads((output / "result.json").read_text())
    assert content["reason"] in error


def test_a_relaxed_molecule_with_imaginary_modes(
    potential: Potential, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    atoms = Atoms("SiC", positions=[[0, 0, 0], [0, 0, 1.8]])
    save_potential(potential, tmp_path / "p", Card("random"), [atoms])
    write(tmp_path / "sic.xyz", atoms)
    words = ["--potential", str(tmp_path / "p"), "--structure", str(tmp_path / "sic.xyz")]
    words += ["--relax", "true", "--relax_steps", "0", "--fmax", "1e9"]
    words += ["--expected_imaginary", "5", "--progress", "false"]
    assert main(["vibrations", *words, "--output", str(tmp_path / "out")]) == 1
    assert "not converged: " in capsys.readouterr().err


def test_selftest_names_the_checks_that_failed(
    words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = Check("always", "fails", lambda subject: [Figure("x", 2.0, "", 1.0)])
    monkeypatch.setattr(run, "all_checks", lambda: {"always": broken})
    assert main(["selftest", *words, "--json"]) == 1
    assert capsys.readouterr().err == "not passed: 1 of 1 checks failed: always\n"


def test_models_verify_names_what_failed(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    card = tmp_path / "p" / "card.json"
    content = json.loads(card.read_text())
    content["golden"][0]["energy"] += 1.0
    card.write_text(json.dumps(content))
    assert main(["models", "verify", words[1], "--json"]) == 1
    assert capsys.readouterr().err == f"1 of 1 potentials failed: {words[1]}\n"
