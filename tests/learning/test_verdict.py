"""The verdict follows from what was found: when a target counts as reached, and what would help."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from ase.build import molecule

from ase_geomformer.learning.acceptance import Acceptance, constant_energy
from ase_geomformer.learning.rounds import drawn_in_turns
from ase_geomformer.learning.settings import LearnSettings
from ase_geomformer.learning.state import RoundRecord
from ase_geomformer.learning.students import CONSTANT_UNTIL, falling_rate
from ase_geomformer.learning.verdict import Verdict, judge, need_of
from ase_geomformer.registry import load_potential

SETTINGS = LearnSettings(target_meV_per_A=50.0, acceptance_ps=0.08)
GOOD = {"use_meV_per_A": 40.0, "hot_meV_per_A": 70.0, "exceedance": 0.0}
FOUND = Acceptance(0.01, 50.0, 16, 0, "", GOOD)


def verdict(last_rounds: list[float | None], found: Acceptance = FOUND) -> Verdict:
    errors: list[dict[str, Any]] = [
        {} if error is None else {"use_meV_per_A": error} for error in last_rounds
    ]
    return judge(found, [RoundRecord(errors=one) for one in errors], SETTINGS, 35.0)


def test_two_successive_tests_at_the_target_reach_it() -> None:
    assert verdict([120.0, 45.0]).reached
    assert verdict([120.0, 45.0]).text == "target reached"


@pytest.mark.parametrize("rounds", [[], [45.0, 60.0], [None], [45.0, None]])
def test_a_single_test_at_the_target_does_not(rounds: list[float | None]) -> None:
    found = verdict(rounds)
    assert not found.reached
    assert "tests at the target still missing 1" in found.text


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"errors": {**GOOD, "use_meV_per_A": 51.0}}, "force error at 300 K"),
        ({"errors": {**GOOD, "hot_meV_per_A": 81.0}}, "force error at 450 K"),
        ({"errors": {**GOOD, "exceedance": 0.02}}, "share of unforeseen errors"),
        ({"errors": {}}, "force error at 300 K"),
        ({"drift_meV_per_atom_per_ps": 1.1}, "energy drift over 50 ps"),
        ({"drift_meV_per_atom_per_ps": float("nan")}, "energy drift over 50 ps"),
        ({"stopped": 1}, "walkers stopped by a guard"),
        ({"selftest": "forces are not the gradient"}, "failed self-test"),
    ],
)
def test_each_condition_alone_prevents_it(change: dict[str, Any], name: str) -> None:
    found = verdict([45.0, 45.0], replace(FOUND, **change))
    assert not found.reached
    assert f"{name} " in found.text
    assert "--resume --minutes 60" in found.text


def test_labels_are_needed_where_new_structures_are_much_worse() -> None:
    assert need_of(35.0, 70.0) == "labels"
    assert need_of(60.0, 70.0) == "steps"
    assert need_of(None, 70.0) == need_of(35.0, None) == "labels"


def test_the_learning_rate_is_constant_and_then_falls_to_next_to_nothing() -> None:
    rates = [falling_rate(progress) for progress in np.linspace(0.0, 1.0, 21)]
    assert set(rates[:11]) == {1.0}
    assert all(later < earlier for earlier, later in pairwise(rates[10:]))
    assert rates[-1] == pytest.approx(0.01)
    assert falling_rate(CONSTANT_UNTIL) == 1.0


def test_both_temperatures_are_drawn_in_turns_and_more_begin_with_the_same() -> None:
    kelvins = [300.0] * 20 + [450.0] * 4
    drawn = drawn_in_turns(kelvins, np.random.default_rng(1))
    assert sorted(drawn) == list(range(24))
    assert sorted(kelvins[index] for index in drawn[:8]) == [300.0] * 4 + [450.0] * 4
    assert drawn == drawn_in_turns(kelvins, np.random.default_rng(1))
    assert drawn != drawn_in_turns(kelvins, np.random.default_rng(2))


def test_eight_trajectories_share_the_dynamics_at_constant_energy() -> None:
    potential = load_potential("so3krates-rmd17-ethanol")
    starts = [molecule("CH3CH2OH") for _ in range(8)]
    drift, picoseconds, stopped = constant_energy(potential, starts, SETTINGS, None)
    assert stopped == 0
    assert picoseconds == pytest.approx(0.08)
    assert np.isfinite(drift)
    assert all(atoms.positions == pytest.approx(starts[0].positions) for atoms in starts)
    nothing = constant_energy(potential, [], SETTINGS, None)
    assert np.isnan(nothing[0])
    assert nothing[1:] == (0.0, 0)
