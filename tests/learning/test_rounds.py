"""Walkers: where they start, what of their way is kept, and how far spreads can be trusted."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from ase import Atoms, units
from ase.build import bulk, molecule

from ase_geomformer.data.frames import Frame
from ase_geomformer.learning import rounds
from ase_geomformer.learning.calibration import clipped, likeness, mean_ratio
from ase_geomformer.learning.committee_errors import Predicted, committee_errors
from ase_geomformer.learning.exploration import explore
from ase_geomformer.learning.rounds import WALKERS, Exploration, harmonic_energy
from ase_geomformer.learning.settings import LearnSettings
from ase_geomformer.registry import load_potential

SETTINGS = LearnSettings(temperature_K=300.0, max_temperature_K=900.0)


def test_harmonic_energy_is_half_kT_for_each_vibration() -> None:
    assert harmonic_energy(molecule("H2O"), 300.0) == pytest.approx(1.5 * units.kB * 300.0)
    assert harmonic_energy(bulk("Cu", cubic=True), 300.0) == pytest.approx(4.5 * units.kB * 300.0)


def _started(monkeypatch: pytest.MonkeyPatch, *, equilibrated: bool) -> dict[float, set[int]]:
    """Numbers of the labels at which the walkers of each temperature start.

    There is a minimum, and then labels of the two temperatures in turns.
    """
    ethanol = molecule("CH3CH2OH")
    kelvins = [0.0, *[300.0, 900.0] * 12]
    known = []
    for number, kelvin in enumerate(kelvins):
        atoms = ethanol.copy()
        atoms.positions += number  # by which it is known again
        known.append(Frame(atoms, -100.0 + harmonic_energy(ethanol, kelvin), np.zeros((9, 3))))
    found: dict[float, set[int]] = {}

    def take(potential: Any, starts: list[Atoms], temperatures_K: list[float], **_: Any) -> None:
        for atoms, kelvin in zip(starts, temperatures_K, strict=True):
            number = round(float((atoms.positions - ethanol.positions).mean()))
            found.setdefault(kelvin, set()).add(number)

    monkeypatch.setattr(rounds, "explore", take)
    for seed in range(10):
        walk = Exploration(ethanol, SETTINGS, equilibrated=equilibrated).walk
        walk(None, known, [seed])  # type: ignore[arg-type]
    return found


def test_walkers_of_a_test_start_with_the_energy_of_their_temperature(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = _started(monkeypatch, equilibrated=True)
    assert found[300.0] <= set(range(1, 25, 2))
    assert found[900.0] <= set(range(2, 25, 2))
    assert min(map(len, found.values())) > WALKERS // 2


def test_walkers_of_a_test_start_in_the_cell_of_the_structure(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    copper = bulk("Cu", cubic=True)
    cells = []
    for strain in (0.0, 0.03, 0.0, 0.0, 0.03):
        atoms = copper.copy()
        atoms.set_cell(copper.cell * (1.0 + strain), scale_atoms=True)
        cells.append(Frame(atoms, 0.0, np.zeros((4, 3))))
    starts: list[Atoms] = []
    monkeypatch.setattr(rounds, "explore", lambda _, given, *__, **___: starts.extend(given))
    Exploration(copper, SETTINGS, equilibrated=True).walk(None, cells, [0])  # type: ignore[arg-type]
    assert len(starts) == WALKERS
    assert all(np.allclose(atoms.cell, copper.cell) for atoms in starts)
    starts.clear()
    Exploration(copper, SETTINGS).walk(None, cells, [0])  # type: ignore[arg-type]
    assert not all(np.allclose(atoms.cell, copper.cell) for atoms in starts)


def test_walkers_of_a_round_start_anywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    found = _started(monkeypatch, equilibrated=False)
    assert {number % 2 for number in found[300.0]} == {number % 2 for number in found[900.0]}


def test_the_beginning_of_a_walk_is_left_out() -> None:
    potential = load_potential("so3krates-rmd17-ethanol")

    def walked(skip: float) -> list[Atoms]:
        starts = [molecule("CH3CH2OH")] * 2
        times = {"time_fs": 16.0, "timestep_fs": 1.0, "interval_fs": 2.0}
        return explore(potential, starts, [300.0, 450.0], **times, seed=1, skip=skip).frames

    whole, late = walked(0.0), walked(0.25)
    assert (len(whole), len(late)) == (16, 12)
    for atoms, same in zip(late, [*whole[2:8], *whole[10:]], strict=True):
        assert (atoms.positions == same.positions).all()


def _predicted(errors: Any, spreads: Any, rng: Any) -> tuple[list[Frame], list[Predicted]]:
    """Frames of two atoms, all of whose forces have the error and two members the spread."""
    frames, predicted = [], []
    for error, spread in zip(errors, spreads, strict=True):
        truth, shift, across = rng.standard_normal((3, 2, 3))
        shift *= error / np.linalg.norm(shift, axis=1, keepdims=True)
        across *= spread / np.sqrt(2.0) / np.linalg.norm(across, axis=1, keepdims=True)
        frames.append(Frame(Atoms("Cu2", [[0, 0, 0], [0, 0, 2.5]]), energy=0.0, forces=truth))
        members = np.stack([truth + shift + across, truth + shift - across])
        predicted.append(Predicted(members, np.zeros(2)))
    return frames, predicted


def test_a_few_frames_of_large_errors_do_not_decide_how_far_spreads_are_trusted() -> None:
    rng = np.random.default_rng(0)
    # Spreads are right at the temperature of use and half the errors of frames that are hotter.
    frames, predicted = _predicted([0.1] * 6 + [0.4] * 6, [0.1] * 6 + [0.2] * 6, rng)
    assert mean_ratio(frames, predicted) == pytest.approx((0.1 + 0.4) / (0.1 + 0.2))
    assert committee_errors(frames, predicted).calibration == pytest.approx(np.sqrt(0.17 / 0.05))
    # Sizes of errors differ from frame to frame: the factor from a few of them is more certain.
    factors = []
    for _ in range(200):
        scale = np.exp(0.7 * rng.standard_normal(12))
        noise = np.exp(0.5 * rng.standard_normal(12))
        drawn = _predicted(0.1 * scale * noise, 0.1 * scale, rng)
        factors.append([mean_ratio(*drawn), committee_errors(*drawn).calibration])
    certain, squared = np.log(factors).std(axis=0)
    assert certain < 0.85 * squared


def test_members_that_hardly_differ_are_told_of() -> None:
    assert likeness(9.0) is None
    assert "are 12 times their spread" in str(likeness(12.1))
    frames, predicted = _predicted([0.2], [0.0], np.random.default_rng(0))
    factor = clipped(mean_ratio(frames, predicted), 2)
    assert factor == 100.0
    assert "are more than 100 times" in str(likeness(factor))


def test_members_without_common_errors_err_less_than_they_spread() -> None:
    rng = np.random.default_rng(0)
    truth = rng.standard_normal((500, 3))
    members = truth + 0.1 * rng.standard_normal((4, 500, 3))
    frame = Frame(Atoms("Cu500", rng.uniform(0, 50, (500, 3))), energy=0.0, forces=truth)
    found = committee_errors([frame], [Predicted(members, np.zeros(4))])
    assert found.calibration == pytest.approx(0.5, rel=0.05)
    assert clipped(found.calibration, 4) == max(0.5, found.calibration)
    assert clipped(0.1, 4) == 0.5
    assert clipped(12.0, 4) == 12.0
    assert clipped(1e3, 4) == 100.0
