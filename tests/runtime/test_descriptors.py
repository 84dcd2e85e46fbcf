"""Descriptors: invariant, deterministic, of documented sizes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.io import read, write

from ase_geomformer import PotentialCalculator
from ase_geomformer.accuracy.map import plane
from ase_geomformer.cli import main
from ase_geomformer.learning.select import select
from ase_geomformer.potential import Potential
from ase_geomformer.runtime.descriptors import structure_rows


def test_invariance(potential: Potential, ethanol: Atoms, silicon: Atoms) -> None:
    calculator = PotentialCalculator(potential, dtype="float64", device="cpu")
    for atoms in (ethanol, silicon):
        found = calculator.get_descriptors(atoms)
        assert found.shape == (len(atoms), 16)
        np.testing.assert_array_equal(calculator.get_descriptors(atoms), found)
        order = np.random.default_rng(0).permutation(len(atoms))
        np.testing.assert_allclose(
            calculator.get_descriptors(atoms[order]), found[order], atol=1e-10
        )
        mean = calculator.get_descriptors(atoms, mean=True)
        np.testing.assert_allclose(mean, found.mean(axis=0), atol=1e-12)
        turned = atoms.copy()
        turned.rotate(31, (1, 2, 3), rotate_cell=True)
        turned.positions *= -1
        turned.cell *= -1
        np.testing.assert_allclose(calculator.get_descriptors(turned), found, atol=1e-10)
    double = calculator.get_descriptors(silicon * (2, 1, 1), mean=True)
    np.testing.assert_allclose(double, calculator.get_descriptors(silicon, mean=True), atol=1e-10)


def test_those_of_the_last_calculation(potential: Potential, ethanol: Atoms) -> None:
    calculator = PotentialCalculator(potential, device="cpu")
    with pytest.raises(RuntimeError, match="no structure to describe"):
        calculator.get_descriptors()
    ethanol.calc = calculator
    ethanol.get_potential_energy()
    assert calculator.get_descriptors().shape == (9, 16)
    with pytest.raises(ValueError, match="does not know Cu"):
        calculator.get_descriptors(Atoms("Cu"))


def test_the_plane_has_the_largest_differences() -> None:
    random = np.random.default_rng(0)
    rows = random.normal(size=(50, 5)) * [1, 10, 0.1, 3, 0.2]
    places, shares = plane(rows)
    assert shares[0] > 0.8 > 0.2 > shares[1] > 0.03
    assert abs(np.corrcoef(places[:, 0], rows[:, 1])[0, 1]) > 0.99
    assert plane(rows[:1])[0].tolist() == [[0.0, 0.0]]


def test_the_verb(tmp_path: Path, ethanol: Atoms, capsys: pytest.CaptureFixture[str]) -> None:
    frames = []
    for seed in range(6):
        frames.append(ethanol.copy())
        frames[-1].rattle(0.05, seed=seed)
    frames.append(ethanol[[0, 3, 4]])
    write(tmp_path / "frames.xyz", frames)
    output = tmp_path / "out"
    words = ["--structure", str(tmp_path / "frames.xyz"), "--output", str(output)]
    name = ["--potential", "geomformer-rmd17-ethanol", "--domain", "ignore"]
    assert main(["descriptors", *name, *words, "--progress", "false"]) == 0
    assert "64 features of 57 atoms in 7 structures" in capsys.readouterr().out
    with np.load(output / "descriptors.npz") as found:
        assert found["atoms"].shape == (57, 64)
        assert found["structures"].shape == (7, 64)
        assert np.bincount(found["structure_of_atom"]).tolist() == [9] * 6 + [3]
        rows = found["structures"]
        by_structure = np.split(found["atoms"], np.arange(9, 57, 9))
    np.testing.assert_allclose(rows, structure_rows(by_structure), atol=1e-6)
    described = read(output / "descriptors.extxyz", index=":")
    np.testing.assert_allclose(described[2].info["descriptor"], rows[2], atol=1e-6)
    assert described[2].arrays["descriptor"].shape == (9, 64)
    result = json.loads((output / "result.json").read_text())
    assert len(result["structures"]) == 7
    assert (output / "map.png").stat().st_size > 5000


def test_selection_by_descriptors_takes_the_odd_one_first(ethanol: Atoms) -> None:
    frames = []
    for seed in range(8):
        frames.append(ethanol.copy())
        frames[-1].rattle(0.01, seed=seed)
    frames[5].positions[2] += [0.3, 0.0, 0.0]
    chosen, spreads = select(frames, 2, known=frames[:2], potentials="geomformer-rmd17-ethanol")
    assert chosen[0] == 5
    assert spreads is None
    assert len(set(chosen)) == 2
