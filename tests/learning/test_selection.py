"""Choosing structures: descriptors, farthest points, uncertainty."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from ase.build import molecule
from ase.io import read, write

from ase_geomformer.cli import main
from ase_geomformer.data.frames import Frame
from ase_geomformer.learning.committee_errors import Predicted, committee_errors
from ase_geomformer.learning.selection import descriptor, diverse, farthest_points, select_uncertain


def test_the_descriptor_is_invariant_and_smooth() -> None:
    atoms = molecule("CH3CH2OH")
    known = descriptor(atoms, [1, 6, 8])
    moved = atoms.copy()
    moved.rotate(50, (1, 1, 0))
    moved = moved[[*range(8, -1, -1)]]
    np.testing.assert_allclose(descriptor(moved, [1, 6, 8]), known, atol=1e-12)
    moved.positions[0] += 1e-5
    difference = np.abs(descriptor(moved, [1, 6, 8]) - known).max()
    assert 0.0 < difference < 1e-3


def test_farthest_points_of_a_line() -> None:
    candidates = np.arange(11.0)[:, None]
    assert farthest_points(candidates, np.array([[0.0]]), 3) == [10, 5, 2]
    assert farthest_points(candidates, np.array([[0.0], [10.0]]), 1) == [5]
    assert sorted(farthest_points(candidates, np.empty((0, 1)), 20)) == list(range(11))


def predicted(spread: float, atoms: int = 3) -> Predicted:
    """Two members that differ by sqrt(2) times the spread in x."""
    forces = np.zeros((2, atoms, 3))
    forces[:, :, 0] = np.array([[-1.0], [1.0]]) * spread / np.sqrt(2.0)
    return Predicted(forces, np.zeros(2))


def test_the_uncertain_and_the_different_are_selected() -> None:
    rng = np.random.default_rng(0)
    waters = []
    for _ in range(40):
        atoms = molecule("H2O")
        atoms.positions += 0.03 * rng.standard_normal((3, 3))
        waters.append(atoms)
    # Ten are uncertain; two of these are stretched, and four are alike.
    guesses = [predicted(1.0 if index < 10 else 0.1) for index in range(40)]
    for index in (2, 7):
        waters[index].positions *= 1.2 + 0.1 * index
    for index in (3, 4, 5, 6):
        waters[index] = waters[3].copy()
    chosen = select_uncertain(waters, guesses, [molecule("H2O")], 2)
    assert set(chosen) == {2, 7}
    assert set(diverse(waters, [molecule("H2O")], 2)) == {2, 7}


def test_the_calibration_is_the_ratio_of_errors_and_spreads() -> None:
    rng = np.random.default_rng(0)
    frames, guesses = [], []
    for _ in range(200):
        size = rng.uniform(0.05, 0.5, (4, 1))
        # Members scatter about a mean that is wrong by twice their spread.
        members = size * rng.standard_normal((3, 4, 3))
        error = 2.0 * size * rng.standard_normal((4, 3))
        frame = Frame(molecule("NH3"), energy=0.0, forces=members.mean(axis=0) - error)
        frames.append(frame)
        guesses.append(Predicted(members, np.zeros(3)))
    found = committee_errors(frames, guesses)
    assert found.calibration == pytest.approx(2.0, rel=0.05)
    assert found.correlation > 0.4
    assert found.mae_meV_per_A == pytest.approx(
        1e3 * np.mean([np.abs(g.forces - f.forces) for f, g in zip(frames, guesses, strict=True)])
    )
    overconfident = committee_errors(frames, guesses, factor=1.0)
    assert overconfident.exceedance > 5 * found.exceedance


def test_the_verb_without_potentials(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    frames = []
    for length in np.linspace(0.9, 1.5, 7):
        atoms = molecule("H2O")
        atoms.positions *= length
        frames.append(atoms)
    write(tmp_path / "frames.xyz", frames, format="extxyz")
    write(tmp_path / "known.xyz", frames[0], format="extxyz")
    argv = ["select", "--structure", str(tmp_path / "frames.xyz"), "--number", "2"]
    argv += ["--known", str(tmp_path / "known.xyz"), "--output", str(tmp_path / "out.extxyz")]
    assert main(argv) == 0
    chosen = read(tmp_path / "out.extxyz", ":")
    assert len(chosen) == 2
    assert {int(frame.info["frame"]) for frame in chosen} <= {2, 3, 4, 5, 6}
    wrong = [*argv, "--overwrite", "true", "--potential", "so3krates-ethanol"]
    assert main(wrong) == 2
    assert "Did you mean 'so3krates-rmd17-ethanol'?" in capsys.readouterr().err
    single = [*argv, "--overwrite", "true", "--potential", "so3krates-rmd17-ethanol"]
    assert main(single) == 0
    assert len(read(tmp_path / "out.extxyz", ":")) == 2
