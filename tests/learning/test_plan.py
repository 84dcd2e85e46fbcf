"""The budget of calls is shared among all parts of a run, and none of them can exceed it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule
from ase.calculators.emt import EMT

from ase_geomformer.data.frames import Frame
from ase_geomformer.learning.acceptance import Acceptance
from ase_geomformer.learning.answers import ask
from ase_geomformer.learning.identity import structure_key
from ase_geomformer.learning.initial import first_labels
from ase_geomformer.learning.labelling import label_structures
from ase_geomformer.learning.learner import Learner
from ase_geomformer.learning.plan import (
    Plan,
    acceptance_labels,
    fewest_labels,
    final_labels,
    initial_labels,
)
from ase_geomformer.learning.run import check_calls
from ase_geomformer.learning.settings import LearnSettings
from ase_geomformer.learning.state import AcceptanceRecord, RunState
from ase_geomformer.learning.store import LabelStore
from ase_geomformer.learning.teacher import InProcess
from tests.learning.small import crystal
from tests.learning.teachers import Faulty


@pytest.mark.parametrize("rounds", [1, 4, 7])
@pytest.mark.parametrize("first", [True, False])
def test_all_parts_together_stay_within_the_labels(rounds: int, first: bool) -> None:
    settings = LearnSettings(rounds=rounds)
    for labels in range(fewest_labels(crystal(), first=first), 400):
        taken = max(initial_labels(labels)) if first else 0
        plan = Plan.of(settings, labels=labels, first=taken, seconds=60.0)
        assert taken + rounds * plan.per_round + plan.final <= labels
        assert plan.final == final_labels(labels) >= 4
        assert labels < 40 or plan.per_round > 0


@pytest.mark.parametrize("labels", [17, 24, 60])
def test_the_relaxation_leaves_labels_for_the_rest(labels: int) -> None:
    asked: list[Atoms] = []

    def answer(structures: Sequence[Atoms], origin: str) -> list[Frame | None]:
        asked.extend(structures)
        answers = [(atoms.copy(), ask(EMT(), atoms)) for atoms in structures]
        return [Frame(atoms, found.energy, found.forces) for atoms, found in answers]

    ethanol = molecule("CH3CH2OH")
    ethanol.rattle(0.1, seed=1)
    number, most = initial_labels(labels)
    first_labels(ethanol, LearnSettings(relaxation_steps=30), answer, number, most)
    assert len(asked) <= max(most, fewest_labels(ethanol, first=True) - 4)
    assert len(asked) <= labels - 4


@pytest.mark.filterwarnings("ignore::ase_geomformer.learning.labelling.TeacherWarning")
def test_calls_are_bounded_whatever_fails(alloys: list[Atoms], tmp_path: Path) -> None:
    store = LabelStore(tmp_path / "labels.jsonl")
    teacher = InProcess(lambda: Faulty(log=str(tmp_path / "calls"), share=0.5))
    for calls in (0, 3, 9):
        found = label_structures(alloys, teacher, store, calls=calls)
        assert found.calls == calls
        assert len(found.frames) == len(alloys)
    assert store.calls == len((tmp_path / "calls").read_text().split()) == 12
    assert 0 < len(store) < store.structures == len(alloys)


def test_tests_get_the_labels_that_the_rounds_have_left() -> None:
    assert acceptance_labels(16, 16) == 16
    assert acceptance_labels(16, 27) == 27
    assert acceptance_labels(16, 60) == 32
    assert acceptance_labels(16, 3) == 16  # as far as there are calls


def test_too_few_calls_are_refused_before_anything_is_done() -> None:
    settings, ended = LearnSettings(max_labels=60), RunState(initial={"keys": []}, finished=True)
    check_calls(crystal(), settings, ended, 56)
    with pytest.raises(ValueError, match="max_labels = 60 leaves 2 calls .* give 62 or more"):
        check_calls(crystal(), settings, ended, 58)
    check_calls(crystal(), settings, RunState(initial={"keys": []}), 60)  # not at its end


@pytest.mark.parametrize(
    ("asked_ps", "steps", "stopped", "repeated"),
    [(1.0, 9, 0, True), (None, 9, 0, True), (2.0, 9, 0, False), (1.0, None, 0, False)]
    + [(1.0, 9, 1, False)],
)
def test_dynamics_are_repeated_where_longer_ones_are_asked_for_and_possible(
    asked_ps: float | None, steps: int | None, stopped: int, repeated: bool
) -> None:
    settings = LearnSettings(acceptance_ps=2.0, steps_per_round=steps)
    context = SimpleNamespace(settings=settings, timed=steps is None)
    record = AcceptanceRecord(0.1, 1.0, 8, stopped, "", {}, [], asked_ps)
    assert Learner(crystal(), context)._is_short(record) is repeated  # type: ignore[arg-type]


def test_what_the_acceptance_found_outlives_a_run(tmp_path: Path) -> None:
    frame = Frame(crystal(), 1.0, np.zeros((4, 3)))
    errors = {"use_meV_per_A": 0.1 + 0.2, "correlation": float("nan")}
    found = Acceptance(float("nan"), 1.5, 24, 1, "", errors, [frame])
    RunState(acceptance=found.record(LearnSettings())).save(tmp_path)
    record = RunState.load(tmp_path).acceptance
    assert record is not None
    again = Acceptance.of(record, [frame])
    assert record.frames == [structure_key(frame.atoms)]
    assert record.asked_ps == LearnSettings().acceptance_ps
    assert np.isnan([again.drift_meV_per_atom_per_ps, again.errors["correlation"]]).all()
    assert again.errors["use_meV_per_A"] == errors["use_meV_per_A"]
    assert (again.nve_ps, again.walkers, again.stopped) == (1.5, 24, 1)
