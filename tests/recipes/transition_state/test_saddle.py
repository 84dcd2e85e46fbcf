from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase.build import add_adsorbate, fcc111
from ase.calculators.emt import EMT
from ase.constraints import FixAtoms, FixCartesian, FixedPlane
from ase.io import read, write

from ase_geomformer.cli import main
from ase_geomformer.recipes import SaddleSettings, neb, saddle
from ase_geomformer.recipes.path.settings import NEBSettings
from ase_geomformer.recipes.transition_state import optimizers
from tests.recipes.path.conftest import ENERGIES, SADDLES, SCALE, MuellerBrown, at

# From which minimum, with which sign along its soft vibration, to which saddle point.
WAYS = [("B", -0.1, "CB"), ("C", 0.1, "CB"), ("C", -0.1, "AC")]


def settings(**changed: Any) -> SaddleSettings:
    # The first vibration is that of the spring along z; the second that of the valley.
    return SaddleSettings(**{"mode": 2, "step_A": 1e-4, "fmax": 1e-5, **changed})


@pytest.mark.parametrize("method", ["hessian", "dimer"])
@pytest.mark.parametrize(("start", "sign", "name"), WAYS)
def test_known_saddle_points_from_the_minima(
    start: str, sign: float, name: str, method: str
) -> None:
    place, energy = SADDLES[name]
    atoms = at(start)
    before = atoms.positions.copy()
    wanted = settings(displacement_A=sign, method=method)
    result = saddle(atoms, MuellerBrown(), wanted, progress=False)
    assert result.converged, result.reason
    assert result.method == method
    np.testing.assert_allclose(result.atoms.positions[1, :2], place, atol=1e-5)
    barrier = SCALE * (energy - ENERGIES[start])
    assert result.energy_above_start_eV == pytest.approx(barrier, abs=1e-6)
    assert len(result.imaginary_per_cm) == 1
    assert len(result.positions) == len(result.energies) == len(result.fmax) == result.steps + 1
    moved = np.linalg.norm(result.atoms.positions[1] - before[1])
    assert result.saddle.moved_A == pytest.approx(moved)
    np.testing.assert_array_equal(atoms.positions, before)


def test_starts_towards_another_structure() -> None:
    other = at("B")
    for start in (at("C"), at("B")):
        towards = other if start.positions[1, 0] < 0 else at("C")
        result = saddle(start, MuellerBrown(), settings(), towards=towards, progress=False)
        assert result.converged, result.reason
        np.testing.assert_allclose(result.atoms.positions[1, :2], SADDLES["CB"][0], atol=1e-5)


def test_sella_finds_the_saddle_point_and_resumes(tmp_path: Path) -> None:
    pytest.importorskip("sella")
    flat = at("C")  # in the plane, where the valley is the softest direction
    flat.set_constraint([*flat.constraints, FixCartesian([1], mask=(False, False, True))])
    wanted = settings(mode=1, method="sella", displacement_A=0.1)
    whole = saddle(flat, MuellerBrown(), wanted, progress=False)
    assert whole.converged, whole.reason
    assert whole.method == "sella"
    np.testing.assert_allclose(whole.atoms.positions[1, :2], SADDLES["CB"][0], atol=1e-5)
    some = replace(wanted, steps=3)
    first = saddle(flat, MuellerBrown(), some, output=tmp_path, progress=False)
    assert not first.converged
    assert first.steps == 3
    last = saddle(flat, MuellerBrown(), wanted, output=tmp_path, resume=True, progress=False)
    assert last.converged, last.reason
    np.testing.assert_allclose(last.atoms.positions, whole.atoms.positions, atol=1e-5)
    np.testing.assert_array_equal(last.positions[:4], first.positions)


def test_what_sella_cannot_do_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    run = tmp_path / "run"
    wanted = SaddleSettings(method="sella")
    monkeypatch.setattr(optimizers, "find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"pip install 'ase-geomformer\[sella\]'"):
        saddle(at("C"), MuellerBrown(), wanted, output=run, progress=False)
    monkeypatch.setattr(optimizers, "find_spec", lambda name: True)
    atoms = at("C")
    atoms.set_constraint([*atoms.constraints, FixedPlane([1], (0, 0, 1))])
    with pytest.raises(ValueError, match="not FixedPlane; choose method = hessian or dimer"):
        saddle(atoms, MuellerBrown(), wanted, output=run, progress=False)
    assert not run.exists()


def hop() -> list[Any]:
    """A copper atom in an fcc hollow of Cu(111), and in the hcp hollow beside it."""
    ends = []
    for site in ("fcc", "hcp"):
        slab = fcc111("Cu", (2, 2, 2), vacuum=6.0)
        add_adsorbate(slab, "Cu", 1.9, site)
        slab.set_constraint(FixAtoms(range(4)))
        ends.append(slab)
    return ends


@pytest.mark.parametrize("method", ["hessian", "dimer", "sella"])
def test_single_ended_barrier_is_that_of_the_path(method: str) -> None:
    if method == "sella":
        pytest.importorskip("sella")
    initial, final = hop()
    path = neb([initial, final], EMT(), NEBSettings(images=5, fmax=0.05), progress=False)
    found = saddle(
        path.images[0], EMT(), SaddleSettings(method=method), towards=final, progress=False
    )
    assert found.converged, found.reason
    assert found.energy_above_start_eV == pytest.approx(path.barrier_forward_eV, abs=1e-4)
    np.testing.assert_array_equal(found.atoms.positions[:4], path.images[0].positions[:4])


def test_what_did_not_arrive_says_so() -> None:
    short = saddle(at("C"), MuellerBrown(), settings(steps=2), progress=False)
    assert not short.converged
    assert "after 2 steps, above fmax" in short.reason
    assert short.steps == 2
    # The spring along z rises for ever.
    wall = saddle(at("C"), MuellerBrown(), settings(mode=1), progress=False)
    assert not wall.converged
    assert "rose by more than 50 eV" in wall.reason


def test_what_makes_no_sense_is_refused() -> None:
    with pytest.raises(ValueError, match="must have the same atoms"):
        saddle(at("A"), MuellerBrown(), towards=hop()[0], progress=False)
    with pytest.raises(ValueError, match="no atom that may move is more than"):
        saddle(at("A"), MuellerBrown(), towards=at("A"), progress=False)
    with pytest.raises(ValueError, match="mode = 9 must be at most 3"):
        saddle(at("A"), MuellerBrown(), settings(mode=9), progress=False)
    with pytest.raises(ValueError, match="displacement_A"):
        SaddleSettings(displacement_A=0.0)


def test_a_resumed_search_arrives_at_the_same_place(tmp_path: Path) -> None:
    whole = saddle(at("C"), MuellerBrown(), settings(), output=tmp_path / "a", progress=False)
    saddle(at("C"), MuellerBrown(), settings(steps=4), output=tmp_path / "b", progress=False)
    again = saddle(
        at("C"), MuellerBrown(), settings(), output=tmp_path / "b", resume=True, progress=False
    )
    np.testing.assert_allclose(again.positions, whole.positions, atol=1e-9)
    assert again.steps == whole.steps
    (tmp_path / "b" / "search.npz").write_bytes(b"damaged")
    with pytest.raises(ValueError, match="not the checkpoint of this run"):
        saddle(at("C"), MuellerBrown(), settings(), output=tmp_path / "b", resume=True)


def test_the_verb_leaves_its_files(tmp_path: Path) -> None:
    initial, final = hop()
    write(tmp_path / "a.traj", initial)
    write(tmp_path / "b.traj", final)
    run = tmp_path / "run"
    words = ["--calculator", "emt", "--structure", str(tmp_path / "a.traj"), "--progress", "false"]
    words += ["--towards", str(tmp_path / "b.traj"), "--output", str(run)]
    assert main(["saddle", *words]) == 0
    content = json.loads((run / "result.json").read_text())
    assert content["converged"]
    assert len(content["imaginary_per_cm"]) == 1
    assert len(read(run / "search.traj", ":")) == content["steps"] + 1
    names = {path.name for path in run.iterdir()}
    assert {"saddle.png", "saddle.npz", "search.npz", "final.traj", "settings.yaml"} <= names
    assert main(["saddle", *words, "--overwrite", "--steps", "1"]) == 1
