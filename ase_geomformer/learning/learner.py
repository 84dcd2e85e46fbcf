"""A run of learn, part by part."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from ase import Atoms

from ase_geomformer.data.frames import Frame
from ase_geomformer.learning.acceptance import TESTS, Acceptance, accept, run_tests
from ase_geomformer.learning.answers import structure_from_plain, structure_to_plain
from ase_geomformer.learning.calibration import spread_factor
from ase_geomformer.learning.diagnosis import mean_error, member_errors
from ase_geomformer.learning.exploration import Explored, bare
from ase_geomformer.learning.identity import structure_key
from ase_geomformer.learning.initial import first_labels
from ase_geomformer.learning.labelling import label_structures
from ase_geomformer.learning.plan import Plan
from ase_geomformer.learning.rounds import Exploration, label_round
from ase_geomformer.learning.settings import LearnSettings
from ase_geomformer.learning.side_by_side import Allowance
from ase_geomformer.learning.state import RoundRecord, RunState
from ase_geomformer.learning.store import LabelStore
from ase_geomformer.learning.students import Students, falling_rate, steady_rate
from ase_geomformer.learning.teacher import Labeller
from ase_geomformer.learning.teacher_time import (
    allowed_labels,
    faster_teacher,
    timely_labels,
)
from ase_geomformer.learning.validation import divided
from ase_geomformer.learning.verdict import (
    Verdict,
    judge,
    need_of,
    rounds_at_target,
)
from ase_geomformer.machine.display import Console
from ase_geomformer.potential import Potential
from ase_geomformer.runs.folder import RunFolder
from ase_geomformer.runs.report import progress_bar


class Learner:
    """A run under way.

    Parameters
    ----------
    atoms, settings
        As for :func:`ase_geomformer.learning.run.learn`.
    store : LabelStore
    labeller : Labeller
    state : RunState
    folder : RunFolder
    started : float
        Monotonic time at which this process began.
    progress : bool
    """

    def __init__(
        self,
        atoms: Atoms,
        settings: LearnSettings,
        store: LabelStore,
        labeller: Labeller,
        state: RunState,
        folder: RunFolder,
        started: float,
        progress: bool,
    ) -> None:
        assert folder.path is not None
        self.atoms, self.settings, self.store = atoms, settings, store
        self.labeller, self.state, self.progress = labeller, state, progress
        self.folder, self.path = folder, folder.path
        self._started, self._before = started, state.elapsed_s
        self.structure = atoms
        self.acceptance: Acceptance | None = None
        self.verdict: Verdict | None = None
        self.best = 0
        self.calibration = 1.0

    @property
    def elapsed_s(self) -> float:
        """Wall time of the run, that of earlier processes included."""
        return self._before + time.monotonic() - self._started

    @property
    def left_s(self) -> float:
        """Wall time that is left."""
        return 60.0 * self.settings.minutes - self.elapsed_s

    def run(self) -> None:
        """All that is left to do."""
        settings, state = self.settings, self.state
        if state.finished and self.left_s > 0:
            state.finished = False
            state.begun_s, state.begun_rounds = self.elapsed_s, len(state.rounds)
            state.begun_weights, state.final_weights = state.final_weights, ""
            state.labels = None
        budget_s = 60.0 * settings.minutes - state.begun_s
        first = state.begun_rounds == 0
        plan = Plan.of(settings, labels=self._affordable(budget_s), seconds=budget_s, first=first)
        self._begin(plan)
        beginning = self._frames(state.initial["keys"])
        self.students = Students(beginning, settings.students, settings.seed)
        self._check_speed()
        last = state.begun_rounds + settings.rounds
        for number in range(state.begun_rounds, last):
            if number < len(state.rounds) and state.rounds[number].complete:
                continue
            done = rounds_at_target(state.rounds, settings.target_meV_per_A)
            late = settings.steps_per_round is None and self.left_s < plan.end_s + plan.round_s
            if done >= TESTS or (late and number > state.begun_rounds):
                break
            self._round(number, plan)
        self._final(plan)
        self._accept(plan)
        state.finished = True
        self._save()

    def labels(self, structures: Sequence[Atoms], origin: str) -> list[Frame | None]:
        """Have structures labelled."""
        shown = self.progress and len(structures) > 1
        return label_structures(
            structures, self.labeller, self.store, origin=origin, progress=shown
        ).frames

    def frames(self) -> list[Frame]:
        """All labels so far, in the order in which they were asked for."""
        keys = [*self.state.initial["keys"]]
        for record in self.state.rounds:
            keys += record.random
        return self._frames(keys)

    def _frames(self, keys: Sequence[str]) -> list[Frame]:
        found = [self.store.frame(key) for key in dict.fromkeys(keys)]
        return [frame for frame in found if frame is not None]

    def _save(self) -> None:
        self.state.elapsed_s = self.elapsed_s
        self.state.save(self.path)

    def note(self, text: str) -> None:
        """Keep something that the user should know, and say it once."""
        if text not in self.state.notes:
            self.state.notes.append(text)
            self._say(text)

    def _say(self, text: str) -> None:
        if self.progress:
            Console().print(text, highlight=False, markup=False)

    def _affordable(self, budget_s: float) -> int:
        """Calls of the teacher that this part of the run may make: its number, and its time."""
        settings, state = self.settings, self.state
        if state.labels is None:
            allowed = allowed_labels(settings, self.store)
            if settings.steps_per_round is None:
                if not self.store.calls:
                    self.labels([bare(self.atoms)], "relaxation")
                timely = timely_labels(settings, self.store, budget_s)
                if timely < allowed:
                    self.note(
                        f"A call of the teacher takes {self.store.median_seconds:.3g} s: there is "
                        f"time for {timely} of the {allowed} labels; more minutes or "
                        "labels.workers give more"
                    )
                allowed = min(allowed, timely)
            state.labels = allowed
            self._save()
        return state.labels

    def _begin(self, plan: Plan) -> None:
        """The first labels."""
        state = self.state
        if not state.initial:
            found = first_labels(self.atoms, self.settings, self.labels, plan.initial)
            state.initial = {
                "keys": [structure_key(frame.atoms) for frame in found.frames],
                "minimum": structure_to_plain(found.minimum),
                "amplitude": found.amplitude,
                "given": structure_key(self.atoms),
            }
            self._save()
        elif state.initial["given"] != structure_key(self.atoms):
            raise ValueError(
                f"the run in {self.path} is of another structure; give the same, or a new folder"
            )
        self.structure = structure_from_plain(state.initial["minimum"])
        self.structure.set_constraint(self.atoms.constraints)

    def _check_speed(self) -> None:
        """Tell when the teacher is the faster one."""
        teacher_s = self.store.median_seconds
        if teacher_s is None or any("teacher takes" in text for text in self.state.notes):
            return
        told = faster_teacher(teacher_s, self.students.members[0].averaged(), self.structure)
        if told is not None:
            self.note(told)

    def _train(
        self,
        frames: Sequence[Frame],
        allowance: Allowance,
        schedule: Callable[[float], float],
        name: str,
    ) -> None:
        started = time.monotonic()
        with progress_bar(name, 100, self.progress) as advance:

            def tell(progress: float) -> None:
                advance(round(100 * progress), lambda: f"step {self.students.steps}")

            self.students.train(frames, allowance, schedule, tell)
            advance(100)
        self.state.training_s += time.monotonic() - started

    def _round(self, number: int, plan: Plan) -> None:
        settings, state = self.settings, self.state
        train, held = divided(self.frames())
        if number == len(state.rounds):
            self._load(number)
            allowance = Allowance(plan.round_s, settings.steps_per_round)
            self._train(train, allowance, steady_rate, f"Round {number + 1}: training")
            potentials = self.students.potentials(train)
            errors = mean_error(potentials, train), mean_error(potentials, held)
            weights = f"round_{number}.safetensors"
            self.students.save(self.path / weights)
            state.rounds.append(RoundRecord(self.students.steps, *errors, weights=weights))
            self._save()
        else:
            self._load(number + 1)
            potentials = self.students.potentials(train)
        record = state.rounds[number]
        exploration = Exploration(
            self.structure, settings, plan.explore_s if settings.steps_per_round is None else None
        )
        self._say(f"Round {number + 1}: exploring")
        seed = [settings.seed, 1, number]
        explored = exploration.walk(potentials[number % len(potentials)], train, seed)
        record.walkers, record.stopped_walkers = explored.walkers, explored.stopped
        factor = spread_factor(potentials, held)
        half = -(-plan.per_round // 2)
        frames, record.errors = self._label(explored, potentials, half, factor, seed)
        record.need = need_of(record.train_mae_meV_per_A, record.errors.get("use_meV_per_A"))
        if record.need == "labels":  # students that are short of steps learn little from more
            frames, record.errors = self._label(explored, potentials, plan.per_round, factor, seed)
        record.random = [structure_key(frame.atoms) for frame in frames]
        record.labels, record.calls = len(self.store), self.store.calls
        record.teacher_s, record.training_s = sum(self.store.seconds), state.training_s
        record.elapsed_s, record.complete = self.elapsed_s, True
        self._save()
        self._say(f"Round {number + 1}: {record.line}")

    def _label(
        self,
        explored: Explored,
        potentials: Sequence[Potential],
        number: int,
        factor: float,
        seed: Sequence[int],
    ) -> tuple[list[Frame], dict[str, Any]]:
        """Labels of a round, and the students' errors on them."""
        return label_round(
            explored,
            potentials,
            self.labels,
            number=number,
            settings=self.settings,
            factor=factor,
            seed=seed,
        )

    def _load(self, number: int) -> None:
        """Weights as they were after so many rounds, or at the end of an earlier part."""
        state = self.state
        if number == state.begun_rounds and state.begun_weights:
            self.students.load(self.path / state.begun_weights)
        elif number:
            self.students.load(self.path / state.rounds[number - 1].weights)

    def _final(self, plan: Plan) -> None:
        """The last training, with all labels, in which the learning rate falls."""
        settings, state = self.settings, self.state
        train, held = divided(self.frames())
        if not state.final_weights:
            self._load(len(state.rounds))
            seconds = max(0.0, self.left_s - plan.acceptance_s - plan.explore_s)
            steps = None if settings.steps_per_round is None else settings.steps_per_round * 2
            allowance = Allowance(seconds, steps)
            self._train(train, allowance, falling_rate, "Final training")
            weights = f"final_{len(state.rounds)}.safetensors"
            self.students.save(self.path / weights)
            state.final_weights = weights
            self._save()
        else:
            self.students.load(self.path / state.final_weights)
        self.potentials = self.students.potentials(train)
        errors = member_errors(self.potentials, held or train)
        self.best = int(np.argmin(errors))
        self.final_errors = (
            mean_error([self.potentials[self.best]] * 2, train),
            mean_error([self.potentials[self.best]] * 2, held),
        )

    def _accept(self, plan: Plan) -> None:
        settings = self.settings
        timed = settings.steps_per_round is None
        self._say("Acceptance")
        train, held = divided(self.frames())
        exploration = Exploration(
            self.structure, settings, plan.explore_s / TESTS if timed else None
        )
        tests = run_tests(
            exploration,
            self.potentials,
            self.labels,
            train,
            held,
            number=plan.final // TESTS,
            seed=[settings.seed, 2, len(self.state.rounds)],
            member=self.best,
        )
        self.acceptance = accept(
            self.potentials[self.best],
            self.structure,
            tests,
            settings,
            seconds=max(1.0, 0.6 * self.left_s) if timed else None,
        )
        short = self.acceptance.nve_ps < 0.95 * settings.acceptance_ps
        if short and not self.acceptance.stopped:
            self.note(
                f"Dynamics at constant energy had time for {self.acceptance.nve_ps:.3g} of "
                f"{settings.acceptance_ps:g} ps."
            )
        self.calibration = spread_factor(self.potentials, [*held, *self.acceptance.frames])
        self.verdict = judge(self.acceptance, settings, self.final_errors[0])
