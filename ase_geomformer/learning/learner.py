"""A run of learn, part by part."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from ase import Atoms

from ase_geomformer.data.frames import Frame
from ase_geomformer.learning.acceptance import TESTS, Acceptance, accept, run_tests
from ase_geomformer.learning.answers import structure_from_plain, structure_to_plain
from ase_geomformer.learning.calibration import FEWEST_FRAMES, likeness, spread_factor
from ase_geomformer.learning.context import LearnContext
from ase_geomformer.learning.diagnosis import mean_error, member_errors
from ase_geomformer.learning.exploration import bare
from ase_geomformer.learning.identity import structure_key
from ase_geomformer.learning.initial import first_labels
from ase_geomformer.learning.plan import (
    Plan,
    acceptance_labels,
    fewest_labels,
    final_labels,
    initial_labels,
)
from ase_geomformer.learning.rounds import Exploration, label_round, possible_fs
from ase_geomformer.learning.side_by_side import Allowance
from ase_geomformer.learning.state import AcceptanceRecord, RoundRecord
from ase_geomformer.learning.students import Students, falling_rate, steady_rate
from ase_geomformer.learning.teacher_time import faster_teacher, timely_labels
from ase_geomformer.learning.validation import divided
from ase_geomformer.learning.verdict import Verdict, judge, need_of, rounds_at_target
from ase_geomformer.runtime.prepared import PreparedPotential, prepare


class Learner:
    """First labels, rounds, the last training, acceptance.

    Parameters
    ----------
    atoms : ase.Atoms
        As for :func:`ase_geomformer.learning.run.learn`.
    context : LearnContext
    """

    def __init__(self, atoms: Atoms, context: LearnContext) -> None:
        self.atoms, self.context = atoms, context
        self.structure = atoms
        self.acceptance: Acceptance | None = None
        self.verdict: Verdict | None = None
        self.best = 0
        self.calibration = 1.0
        self.remarks: list[str] = []  # on what the run ends with, which a further part changes

    def run(self) -> None:
        """All that is left to do."""
        context, settings, state = self.context, self.context.settings, self.context.state
        if state.finished and context.left_s > 0:
            state.begin_part(context.elapsed_s, context.store.calls)
        budget_s = 60.0 * settings.minutes - state.begun_s
        labels = self._affordable(budget_s)
        context.reserved = final_labels(labels)
        self._begin(labels)
        keys = state.initial["keys"]
        # Runs of earlier versions do not tell how many structures there were.
        first = 0 if state.begun_rounds else state.initial.get("structures", len(keys))
        plan = Plan.of(settings, labels=labels, first=first, seconds=budget_s)
        self.students = Students(context.frames_of(keys), settings.students, settings.seed)
        self._check_speed()
        last = state.begun_rounds + settings.rounds
        for number in range(state.begun_rounds, last):
            if number < len(state.rounds) and state.rounds[number].complete:
                continue
            done = rounds_at_target(state.rounds, settings.target_meV_per_A)
            late = context.timed and context.left_s < plan.end_s + plan.round_s
            if done >= TESTS or (late and number > state.begun_rounds):
                break
            self._round(number, plan)
        self._final(plan)
        context.reserved = 0
        self._accept(plan)

    def _affordable(self, budget_s: float) -> int:
        """Calls of the teacher that this part of the run may make: its number, and its time."""
        context, settings, state = self.context, self.context.settings, self.context.state
        if state.labels is None:
            allowed = settings.label_limit - state.begun_calls
            if context.timed:
                if not context.store.calls:
                    context.labels([bare(self.atoms)], "relaxation")
                fewest = fewest_labels(self.atoms, first=not state.begun_rounds)
                timely = max(fewest, timely_labels(settings, context.store, budget_s))
                if timely < allowed:
                    context.note(
                        f"A call of the teacher takes {context.store.median_seconds:.3g} s: there "
                        f"is time for {timely} of the {allowed} labels; more minutes or "
                        "labels.workers give more"
                    )
                allowed = min(allowed, timely)
            state.labels = allowed
            context.save()
        return state.labels

    def _begin(self, labels: int) -> None:
        """The first labels."""
        context, state = self.context, self.context.state
        if not state.initial:
            number, most = initial_labels(labels)
            found = first_labels(self.atoms, context.settings, context.labels, number, most)
            state.initial = {
                "keys": [structure_key(frame.atoms) for frame in found.frames],
                "structures": context.store.structures,
                "minimum": structure_to_plain(found.minimum),
                "amplitude": found.amplitude,
                "given": structure_key(self.atoms),
            }
            context.save()
        elif state.initial["given"] != structure_key(self.atoms):
            raise ValueError(
                f"the run in {context.path} is of another structure; give the same, or a new folder"
            )
        self.structure = structure_from_plain(state.initial["minimum"])
        self.structure.set_constraint(self.atoms.constraints)

    def _check_speed(self) -> None:
        """Tell when the teacher is the faster one."""
        context = self.context
        teacher_s = context.store.median_seconds
        if teacher_s is None or any("teacher takes" in text for text in context.state.notes):
            return
        told = faster_teacher(teacher_s, self.students.members[0].averaged(), self.structure)
        if told is not None:
            context.note(told)

    def _round(self, number: int, plan: Plan) -> None:
        """Train, explore and label, and tell what the students are short of."""
        context, settings, state = self.context, self.context.settings, self.context.state
        train, held = divided(context.frames())
        if number == len(state.rounds):
            self._load(number)
            allowance = Allowance(plan.round_s, settings.steps_per_round)
            name = f"Round {number + 1}: training"
            context.train(self.students, train, allowance, steady_rate, name)
            potentials = prepared(self.students, train)
            errors = mean_error(potentials, train), mean_error(potentials, held)
            weights = f"round_{number}.safetensors"
            self.students.save(context.path / weights)
            state.rounds.append(RoundRecord(self.students.steps, *errors, weights=weights))
            context.save()
        else:
            self._load(number + 1)
            potentials = prepared(self.students, train)
        record = state.rounds[number]
        context.say(f"Round {number + 1}: exploring")
        seed, walker = [settings.seed, 1, number], potentials[number % len(potentials)]
        if record.explore_fs is None:
            record.explore_fs = self._walk_fs(walker, plan.explore_s)
            context.save()
        explored = Exploration(self.structure, settings, record.explore_fs).walk(
            walker, train, seed
        )
        record.walkers, record.stopped_walkers = explored.walkers, explored.stopped
        factor = spread_factor(potentials, held)

        def label(structures: int) -> tuple[list[Frame], dict[str, Any]]:
            return label_round(
                explored,
                potentials,
                context.labels,
                number=structures,
                settings=settings,
                factor=factor,
                seed=seed,
            )

        frames, record.errors = label(-(-plan.per_round // 2))
        record.need = need_of(record.train_mae_meV_per_A, record.errors.get("use_meV_per_A"))
        if record.need == "labels":  # students that are short of steps learn little from more
            frames, record.errors = label(plan.per_round)
        record.close(frames, context.store, state.training_s, context.elapsed_s)
        context.save()
        context.say(f"Round {number + 1}: {record.line}")

    def _walk_fs(self, potential: PreparedPotential, seconds: float) -> float:
        """Length of each walk of an exploration.

        It is measured once and kept: a run that is resumed finds the same structures again.
        """
        if not self.context.timed:
            return self.context.settings.explore_fs
        return possible_fs(self.structure, self.context.settings, potential, seconds)

    def _load(self, number: int) -> None:
        """Weights as they were after so many rounds, or at the end of an earlier part."""
        context, state = self.context, self.context.state
        if number == state.begun_rounds and state.begun_weights:
            self.students.load(context.path / state.begun_weights)
        elif number:
            self.students.load(context.path / state.rounds[number - 1].weights)

    def _final(self, plan: Plan) -> None:
        """The last training, with all labels, in which the learning rate falls."""
        context, settings, state = self.context, self.context.settings, self.context.state
        train, held = divided(context.frames())
        if not state.final_weights:
            self._load(len(state.rounds))
            seconds = max(0.0, context.left_s - plan.acceptance_s - plan.explore_s)
            steps = None if settings.steps_per_round is None else settings.steps_per_round * 2
            allowance = Allowance(seconds, steps)
            context.train(self.students, train, allowance, falling_rate, "Final training")
            weights = f"final_{len(state.rounds)}.safetensors"
            self.students.save(context.path / weights)
            state.final_weights = weights
            context.save()
        else:
            self.students.load(context.path / state.final_weights)
        self.potentials = self.students.potentials(train)
        self.prepared = [prepare(potential) for potential in self.potentials]
        errors = member_errors(self.prepared, held or train)
        self.best = int(np.argmin(errors))
        self.final_errors = (
            mean_error([self.prepared[self.best]] * 2, train),
            mean_error([self.prepared[self.best]] * 2, held),
        )

    def _accept(self, plan: Plan) -> None:
        """The tests of the potential, unless they were made already, and the verdict."""
        context, settings, state = self.context, self.context.settings, self.context.state
        train, held = divided(context.frames())
        if state.acceptance is None or self._is_short(state.acceptance):
            context.say("Acceptance")
            state.acceptance = self._tried(plan, train, held).record(settings)
            context.save()
        frames = context.frames_of(state.acceptance.frames)
        self.acceptance = Acceptance.of(state.acceptance, frames)
        short = self.acceptance.nve_ps < 0.95 * settings.acceptance_ps
        if short and not self.acceptance.stopped:
            self._remark(
                f"Dynamics at constant energy had time for {self.acceptance.nve_ps:.3g} of "
                f"{settings.acceptance_ps:g} ps; resume with more minutes for longer ones."
            )
        # Labels held back are of early rounds, too, whose walks were far from equilibrium.
        fresh = self.acceptance.frames
        enough = len(fresh) >= FEWEST_FRAMES
        self.calibration = spread_factor(self.prepared, fresh if enough else [*held, *fresh])
        if (told := likeness(self.calibration)) is not None:
            self._remark(told)
        self.verdict = judge(self.acceptance, settings, self.final_errors[0])

    def _remark(self, text: str) -> None:
        self.remarks.append(text)
        self.context.say(text)

    def _is_short(self, record: AcceptanceRecord) -> bool:
        """Whether a run that is resumed asks for longer dynamics at constant energy than were made.

        The tests are then made again, too: the dynamics start from their walkers. These walk the
        same way, and their labels are in the store. Where minutes limit the run, dynamics are as
        long as there is time for, and are made again only when it has more.
        """
        asked_ps = record.nve_ps if record.asked_ps is None else record.asked_ps
        longer = self.context.settings.acceptance_ps > asked_ps
        return longer and not record.stopped and not self.context.timed

    def _tried(self, plan: Plan, train: Sequence[Frame], held: Sequence[Frame]) -> Acceptance:
        """The best of the students, tried on new dynamics."""
        context, settings, state = self.context, self.context.settings, self.context.state
        if state.acceptance_fs is None:
            seconds = plan.explore_s / TESTS
            state.acceptance_fs = self._walk_fs(self.prepared[self.best], seconds)
            context.save()
        # As of the last round, so that a run that is cut among the tests draws the same.
        left = context.call_limit - max(state.begun_calls, state.rounds[-1].calls)
        tests = run_tests(
            Exploration(self.structure, settings, state.acceptance_fs, equilibrated=True),
            self.prepared,
            context.labels,
            train,
            held,
            number=acceptance_labels(plan.final, left) // TESTS,
            seed=[settings.seed, 2, len(state.rounds)],
            member=self.best,
        )
        return accept(
            self.potentials[self.best],
            self.structure,
            tests,
            settings,
            seconds=max(1.0, 0.6 * context.left_s) if context.timed else None,
        )


def prepared(students: Students, frames: Sequence[Frame]) -> list[PreparedPotential]:
    """The students as they are now, prepared once for all that a round has them evaluate."""
    return [prepare(potential) for potential in students.potentials(frames)]
