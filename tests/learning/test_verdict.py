"""The verdict follows from what was found: when a target counts as reached, and what would help."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from ase.build import molecule

from ase_geomformer.learning.acceptance import Acceptance, constant_energy, worst_of
from ase_geomformer.learning.rounds import drawn_in_turns
from ase_geomformer.learning.settings import LearnSettings
from ase_geomformer.learning.state import RoundRecord
from ase_geomformer.learning.students import falling_rate, steady_rate
from ase_geomformer.learning.verdict import Verdict, judge, need_of, rounds_at_target
from ase_geomformer.registry import load_potential

SETTINGS = LearnSettings(target_meV_per_A=50.0, acceptance_ps=0.08)
GOOD = {"use_meV_per_A": 40.0, "hot_meV_per_A": 70.0, "exceedance": 0.0}
FOUND = Acceptance(0.01, 50.0, 16, 0, "", GOOD)


def verdict(found: Acceptance = FOUND) -> Verdict:
    return judge(found, SETTINGS, 35.0)


def test_all_conditions_together_reach_the_target() -> None:
    assert verdict().reached
    assert verdict().text == "target reached"


def test_both_tests_must_be_at_the_target() -> None:
    good = {"use_meV_per_A": 40.0, "hot_meV_per_A": 60.0, "use_frames": 8, "exceedance": 0.0}
    found = worst_of([good, {**good, "use_meV_per_A": 55.0, "exceedance": 0.01}])
    expected = {
        "use_meV_per_A": 55.0,
        "hot_meV_per_A": 60.0,
        "use_frames": 16,
        "exceedance": 0.005,
    }
    assert found == expected
    assert not verdict(replace(FOUND, errors=found)).reached
    assert not verdict(replace(FOUND, errors=worst_of([good, {}]))).reached
    assert verdict(replace(FOUND, errors=worst_of([good, good]))).reached


def test_rounds_at_the_target_count_without_a_gap() -> None:
    def rounds(*errors: float | None) -> list[RoundRecord]:
        return [
            RoundRecord(errors={} if error is None else {"use_meV_per_A": error})
            for error in errors
        ]

    assert rounds_at_target(rounds(60.0, 45.0, 45.0), 50.0) == 2
    assert rounds_at_target(rounds(45.0, 60.0, 45.0), 50.0) == 1
    assert rounds_at_target(rounds(45.0, None), 50.0) == rounds_at_target([], 50.0) == 0


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
    found = verdict(replace(FOUND, **change))
    assert not found.reached
    assert name in found.text
    assert "--resume --minutes 60" in found.text


def test_labels_are_needed_where_new_structures_are_much_worse() -> None:
    assert need_of(35.0, 70.0) == "labels"
    assert need_of(60.0, 70.0) == "steps"
    assert need_of(None, 70.0) == need_of(35.0, None) == "labels"


def test_the_learning_rate_falls_to_next_to_nothing_in_the_last_training() -> None:
    rates = [falling_rate(progress) for progress in np.linspace(0.0, 1.0, 21)]
    assert rates[0] == steady_rate(1.0) == 1.0
    assert all(later < earlier for earlier, later in pairwise(rates))
    assert rates[-1] == pytest.approx(0.01)


def test_both_temperatures_are_drawn_in_turns_and_more_begin_with_the_same() -> None:
    kelvins = [300.0] * 20 + [450.0] * 4
    drawn = drawn_in_turns(kelvins, np.random.default_rng(1))
    assert sorted(drawn) == list(range(24))
    assert sorted(kelvins[index] for index in drawn[:8]) == [300.0] * 4 + [450.0] * 4
    assert drawn == drawn_in_turns(kelvins, np.random.default_rng(1))
    assert drawn != drawn_in_turns(kelvins, np.random.default_rng(2))


@pytest.mark.parametrize(("number", "use", "hot"), [(2, 1, 1), (4, 3, 1), (8, 6, 2), (17, 13, 4)])
def test_tests_draw_three_at_the_temperature_of_use_for_each_hot_one(
    number: int, use: int, hot: int
) -> None:
    kelvins = [300.0, 450.0] * 20
    drawn = drawn_in_turns(kelvins, np.random.default_rng(1), {300.0: 3})
    assert sorted(drawn) == list(range(40))
    assert sorted(kelvins[index] for index in drawn[:number]) == [300.0] * use + [450.0] * hot


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
