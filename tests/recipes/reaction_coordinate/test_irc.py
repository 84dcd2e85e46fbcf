from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase import Atoms
from ase.build import add_adsorbate, fcc111
from ase.calculators.emt import EMT
from ase.constraints import FixAtoms
from ase.io import read
from scipy.integrate import solve_ivp

from ase_geomformer.cli import main
from ase_geomformer.recipes import IRCSettings, NEBSettings, irc, neb
from ase_geomformer.recipes.reaction_coordinate.descent import bofill, lowest_on_sphere
from tests.recipes.path.conftest import (
    CENTRES,
    ENERGIES,
    HEIGHT,
    MINIMA,
    SADDLES,
    SCALE,
    XX,
    XY,
    YY,
    MuellerBrown,
    at,
)


def near(name: str) -> Atoms:
    atoms = at("A")
    atoms.positions[1, :2] = np.array(SADDLES[name][0]) + [0.02, -0.01]
    return atoms


def settings(**changed: Any) -> IRCSettings:
    return IRCSettings(**{"step_A": 1e-4, "fmax": 0.01, "ends_fmax": 1e-5, **changed})


def descent_from(start: np.ndarray) -> np.ndarray:
    """Points (n, 2) of steepest descent on the surface, close to each other."""

    def forces(_: float, place: np.ndarray) -> np.ndarray:
        dx, dy = place[0] - CENTRES[:, 0], place[1] - CENTRES[:, 1]
        terms = SCALE * HEIGHT * np.exp(XX * dx**2 + XY * dx * dy + YY * dy**2)
        along_x, along_y = 2.0 * XX * dx + XY * dy, XY * dx + 2.0 * YY * dy
        return -np.array([terms @ along_x, terms @ along_y])

    flow = solve_ivp(forces, (0.0, 20.0), start, "LSODA", rtol=1e-8, atol=1e-10).y.T
    parts = np.linspace(0.0, 1.0, 50)[:, None]
    return np.concatenate([a + parts * (b - a) for a, b in pairwise(flow)])


@pytest.mark.parametrize("name", SADDLES)
def test_leads_to_the_known_minima_along_the_steepest_descent(name: str) -> None:
    result = irc(near(name), MuellerBrown(), settings(stride=0.05), progress=False)
    assert result.converged, result.reason
    order = sorted(name, key=lambda end: MINIMA[end][0])
    found = sorted(result.ends, key=lambda atoms: atoms.positions[1, 0])
    for end, atoms in zip(order, found, strict=True):
        np.testing.assert_allclose(atoms.positions[1, :2], MINIMA[end], atol=1e-4)
    barriers = sorted([result.barrier_forward_eV, result.barrier_reverse_eV])
    expected = sorted(SCALE * (SADDLES[name][1] - ENERGIES[end]) for end in name)
    np.testing.assert_allclose(barriers, expected, atol=1e-6)
    assert (np.diff(result.coordinate) > 0).all()
    saddle = int(np.flatnonzero(result.coordinate == 0.0)[0])
    assert (np.diff(result.energies[: saddle + 1]) > 0).all()
    assert (np.diff(result.energies[saddle:]) < 0).all()
    # The step is 0.05, and the path is of second order.
    place = np.array(SADDLES[name][0])
    mode = result.saddle.modes.vectors[0, 1, :2]
    exact = np.concatenate([descent_from(place + sign * 1e-4 * mode) for sign in (1, -1)])
    for image in result.images[1:-1]:  # the ends may lie a little beyond the minima
        assert np.linalg.norm(exact - image.positions[1, :2], axis=1).min() < 1e-3


def test_a_heavier_atom_has_a_longer_coordinate() -> None:
    """One atom moves, so that its mass scales the coordinate by its root, and nothing else."""
    light = near("AC")
    light.set_masses([4.0, 1.0])
    heavy = near("AC")
    heavy.set_masses([4.0, 9.0])
    paths = [
        irc(atoms, MuellerBrown(), settings(stride=stride, relax_ends=False), progress=False)
        for atoms, stride in ((light, 0.05), (heavy, 0.15))
    ]
    np.testing.assert_allclose(
        3.0 * paths[0].coordinate, paths[1].coordinate[: len(paths[0].coordinate)], rtol=1e-3
    )
    np.testing.assert_allclose(paths[0].energies, paths[1].energies, atol=1e-5)


def test_only_saddle_points_have_a_reaction_coordinate() -> None:
    with pytest.raises(ValueError, match="has 0 imaginary modes"):
        irc(at("A"), MuellerBrown(), settings(refine=False), progress=False)
    with pytest.raises(ValueError, match="no saddle point was found"):
        irc(near("AC"), MuellerBrown(), settings(saddle_steps=0), progress=False)


def test_too_few_points_say_so() -> None:
    result = irc(near("AC"), MuellerBrown(), settings(points=2, relax_ends=False), progress=False)
    assert not result.converged
    assert "has not come to a minimum in 2 points" in result.reason
    assert len(result.images) == 5


def test_a_resumed_path_is_the_whole_one(tmp_path: Path) -> None:
    whole = irc(near("CB"), MuellerBrown(), settings(), output=tmp_path / "a", progress=False)
    folder = tmp_path / "b"
    irc(near("CB"), MuellerBrown(), settings(points=2), output=folder, progress=False)
    again = irc(near("CB"), MuellerBrown(), settings(), output=folder, resume=True, progress=False)
    np.testing.assert_array_equal(again.coordinate, whole.coordinate)
    np.testing.assert_array_equal(again.energies, whole.energies)
    with pytest.raises(ValueError, match="stride was 0.1"):
        irc(near("CB"), MuellerBrown(), settings(stride=0.2), output=folder, resume=True)
    with pytest.raises(ValueError, match="another saddle point"):
        irc(near("AC"), MuellerBrown(), settings(), output=folder, resume=True, progress=False)


def test_the_verb_starts_from_the_saddle_point_of_a_path(tmp_path: Path) -> None:
    """A copper atom on Cu(111), from an fcc hollow to the hcp hollow beside it."""
    ends = []
    for site in ("fcc", "hcp"):
        slab = fcc111("Cu", (2, 2, 2), vacuum=6.0)
        add_adsorbate(slab, "Cu", 1.9, site)
        slab.set_constraint(FixAtoms(range(4)))
        ends.append(slab)
    wanted = NEBSettings(images=5, fmax=0.05)
    path = neb(ends, EMT(), wanted, output=tmp_path / "neb", progress=False)
    run = tmp_path / "run"
    words = ["--calculator", "emt", "--structure", str(tmp_path / "neb" / "saddle.extxyz")]
    words += ["--output", str(run), "--progress", "false", "--stride", "0.5"]
    assert main(["irc", *words]) == 0
    content = json.loads((run / "result.json").read_text())
    barriers = sorted([content["barrier_forward_eV"], content["barrier_reverse_eV"]])
    of_path = sorted([path.barrier_forward_eV, path.barrier_reverse_eV])
    np.testing.assert_allclose(barriers, of_path, atol=5e-4)
    assert len(read(run / "path.traj", ":")) == content["points"]
    names = {file.name for file in run.iterdir()}
    assert {"irc.png", "irc.npz", "points.npz", "ends.extxyz", "saddle.extxyz"} <= names


def test_lowest_point_on_a_sphere() -> None:
    rng = np.random.default_rng(0)
    for size in (1, 2, 6):
        matrix = rng.normal(size=(size, size))
        matrix = 0.5 * (matrix + matrix.T)
        gradient, offset = rng.normal(size=size), rng.normal(size=size)
        found = lowest_on_sphere(gradient, matrix, offset, 0.7)
        assert np.linalg.norm(found) == pytest.approx(0.7)

        def model(place: np.ndarray, g: Any = gradient, h: Any = matrix, o: Any = offset) -> float:
            return float(g @ (place - o) + 0.5 * (place - o) @ h @ (place - o))

        others = rng.normal(size=(2000, size))
        others *= 0.7 / np.linalg.norm(others, axis=1, keepdims=True)
        assert model(found) <= min(map(model, others)) + 1e-9


def test_the_updated_hessian_gives_the_change_of_the_gradient() -> None:
    rng = np.random.default_rng(1)
    matrix, moved, change = np.diag([1.0, 2.0, -1.0]), rng.normal(size=3), rng.normal(size=3)
    updated = bofill(matrix, moved, change)
    np.testing.assert_allclose(updated @ moved, change, atol=1e-12)
    np.testing.assert_allclose(updated, updated.T)
    np.testing.assert_array_equal(bofill(matrix, moved, matrix @ moved), matrix)
