"""What learn's labels are worth: chosen against random ones, fine-tuning against new students.

    python benchmarks/learn_control.py --study selection --case glycol --seeds 0 1 2 \\
        --output docs/benchmarks/learn-control.json

Each seed labels the first structures as ``learn`` does and trains students on them, whose dynamics
at both temperatures give candidates. In the study of selection, students go on from the same
weights with the same number of further labels: all drawn at random, or half of them chosen by the
students' spread and their distances from all labels. In the study of fine-tuning, new students and
copies of a potential are trained on the first so many of the same random labels. All are judged by
independent dynamics of the teacher. ``--table`` prints the rows of the JSON file for the docs, and
``--figure`` draws those of fine-tuning.
"""

from __future__ import annotations

import json
import os
import tempfile
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from learn import CASES, Case, dynamics
from matplotlib.figure import Figure

from ase_geomformer.data.frames import Frame
from ase_geomformer.learning.committee_errors import predict
from ase_geomformer.learning.diagnosis import member_errors
from ase_geomformer.learning.exploration import Explored
from ase_geomformer.learning.initial import Labels, first_labels
from ase_geomformer.learning.rounds import Exploration, drawn_in_turns
from ase_geomformer.learning.selection import select_uncertain
from ase_geomformer.learning.side_by_side import Allowance
from ase_geomformer.learning.student_settings import StudentSettings
from ase_geomformer.learning.students import Students, falling_rate, steady_rate
from ase_geomformer.machine.files import write_text
from ase_geomformer.runs.style import save_figure

INITIAL, FURTHER = 30, 24


def main() -> None:
    """Run a study for each seed, and write a row for each kind of labels or students."""
    parser = ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--study", choices=STUDIES, default="selection")
    parser.add_argument("--case", choices=CASES, default="emt")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--steps", type=int, default=200, help="training steps of each part")
    parser.add_argument("--explore_fs", type=float, default=250.0, help="length of the dynamics")
    parser.add_argument("--from", dest="start", default="so3krates-rmd17", help="to fine-tune")
    parser.add_argument("--labels", nargs="+", type=int, default=[15, 45], help="to fine-tune with")
    parser.add_argument("--table", action="store_true", help="print the table, and learn nothing")
    parser.add_argument("--figure", type=Path, help="PNG to draw of the rows, learning nothing")
    parser.add_argument("--output", type=Path, required=True, help="JSON file")
    options = parser.parse_args()
    rows = json.loads(options.output.read_text()) if options.output.exists() else []
    if options.table:
        print(table(rows))
    if options.figure:
        save_figure(draw([row for row in rows if row["study"] == "from"]), options.figure)
    if options.table or options.figure:
        return
    for seed in options.seeds:
        for row in STUDIES[options.study](Beginning.of(CASES[options.case], seed, options)):
            print(json.dumps(row), flush=True)
            rows.append({"study": options.study, "case": CASES[options.case].title, **row})
            write_text(options.output, json.dumps(rows, indent=1) + "\n")


@dataclass(frozen=True, eq=False)
class Beginning:
    """What all arms of a study share: first labels, students trained on them, candidates."""

    case: Case
    seed: int
    options: Namespace
    labels: Labels
    first: list[Frame]
    students: Students
    explored: Explored
    known: list[Frame]

    @classmethod
    def of(cls, case: Case, seed: int, options: Namespace) -> Beginning:
        """Label, train and explore as the first round of ``learn`` does."""
        settings = replace(case.settings, seed=seed, explore_fs=options.explore_fs)
        labels = labels_of(case)
        found = first_labels(case.structure(), settings, labels, INITIAL)
        students = Students(found.frames, settings.students, seed)
        bonded = [frame for frame in found.frames if not frame.is_isolated_atom]
        students.train(bonded, Allowance(steps=options.steps), steady_rate)
        walker = students.potentials(bonded)[0]
        explored = Exploration(found.minimum, settings).walk(walker, bonded, [seed, 1])
        return cls(case, seed, options, labels, found.frames, students, explored, bonded)

    @property
    def random(self) -> list[Atoms]:
        """All candidates in random order, both temperatures in turns."""
        order = drawn_in_turns(self.explored.temperatures_K, np.random.default_rng(self.seed))
        return [self.explored.frames[index] for index in order]

    def labelled(self, structures: Sequence[Atoms]) -> list[Frame]:
        """Frames of structures."""
        return [frame for frame in self.labels(structures, "further") if frame is not None]

    def row(self, students: Students, frames: Sequence[Frame], kind: str) -> dict[str, Any]:
        """The errors of students on independent dynamics of the teacher, mean of the members."""
        potentials = students.potentials(frames)
        errors = {
            f"{kelvin:g}": float(np.mean(member_errors(potentials, test(self.case, kelvin))))
            for kelvin in self.case.temperatures_K
        }
        return {
            "kind": kind,
            "seed": self.seed,
            "labels": len(frames),
            "steps": students.steps,
            "force_mae_meV_per_A": errors,
        }


def selection(begun: Beginning) -> list[dict[str, Any]]:
    """Chosen labels against random ones, in equal numbers."""
    students, pool = begun.students, begun.random
    rows = [begun.row(students, begun.known, "before")]
    half = FURTHER // 2
    known = [*(frame.atoms for frame in begun.known), *pool[:half]]
    others = pool[half:]
    guesses = predict(students.potentials(begun.known), others)
    chosen = [others[index] for index in select_uncertain(others, guesses, known, half)]
    arms = {"random": pool[:FURTHER], "half chosen": [*pool[:half], *chosen]}
    with tempfile.TemporaryDirectory() as folder:
        weights = Path(folder) / "before.safetensors"
        students.save(weights)
        for kind, structures in arms.items():
            students.load(weights)
            frames = [*begun.known, *begun.labelled(structures)]
            students.train(frames, Allowance(steps=begun.options.steps), falling_rate)
            rows.append(begun.row(students, frames, kind))
    return rows


def fine_tuning(begun: Beginning) -> list[dict[str, Any]]:
    """A potential that is trained further against new ones, by the number of labels."""
    isolated = [frame for frame in begun.first if frame.is_isolated_atom]
    pool = begun.labelled(begun.random[: max(begun.options.labels)])
    start = begun.options.start
    kinds = {"new": StudentSettings(members=2), start: StudentSettings(2, start_from=start)}
    rows = []
    for number in begun.options.labels:
        frames = pool[:number]
        for kind, settings in kinds.items():
            students = Students([*isolated, *frames], settings, begun.seed)
            if kind == start:
                rows.append(begun.row(students, frames, f"{start}, energies shifted only"))
            before = sum(os.times()[:2])
            students.train(frames, Allowance(steps=begun.options.steps), falling_rate)
            seconds = sum(os.times()[:2]) - before
            rows.append({**begun.row(students, frames, kind), "training_cpu_s": seconds})
    return rows


STUDIES: dict[str, Callable[[Beginning], list[dict[str, Any]]]] = {
    "selection": selection,
    "from": fine_tuning,
}
_TESTS: dict[tuple[str, float], list[Frame]] = {}


def test(case: Case, kelvin: float) -> list[Frame]:
    """Independent dynamics of the teacher, made once."""
    key = (case.title, kelvin)
    if key not in _TESTS:
        _TESTS[key] = dynamics(case.structure(), case.teacher, kelvin)
    return _TESTS[key]


def labels_of(case: Case) -> Labels:
    """The teacher, asked directly."""
    calculator = case.teacher.make()

    def labels(structures: Sequence[Atoms], origin: str) -> list[Frame | None]:
        frames: list[Frame | None] = []
        for atoms in structures:
            moved = atoms.copy()
            moved.calc = calculator
            frames.append(Frame(atoms, moved.get_potential_energy(), moved.get_forces()))
        return frames

    return labels


def table(rows: Sequence[dict[str, Any]]) -> str:
    """A line for each kind of labels or students, with the errors by seed, as Markdown."""
    lines = [
        "| case | labels or students | labels | force error by seed, meV/Å |",
        "|---|---|---|---|",
    ]
    groups: dict[tuple[str, str, int], list[dict[str, float]]] = {}
    for row in rows:
        key = (row["case"], row["kind"], row["labels"])
        groups.setdefault(key, []).append(row["force_mae_meV_per_A"])
    for (case, kind, labels), errors in groups.items():
        shown = ", ".join(" / ".join(f"{value:.0f}" for value in one.values()) for one in errors)
        kelvins = " / ".join(errors[0])
        lines.append(f"| {case} | {kind} | {labels} | {shown} at {kelvins} K |")
    return "\n".join(lines)


def draw(rows: Sequence[dict[str, Any]]) -> Figure:
    """Force errors by the number of labels, a line for each kind of students and seed."""
    kelvins = list(rows[0]["force_mae_meV_per_A"])
    figure = Figure(figsize=(7.2, 3.4), layout="constrained")
    panels = figure.subplots(1, len(kelvins), sharey=True, squeeze=False)[0]
    lines = list(dict.fromkeys((row["kind"], row["seed"]) for row in rows))
    kinds = list(dict.fromkeys(kind for kind, _ in lines))
    labels = sorted({row["labels"] for row in rows})
    for axes, kelvin in zip(panels, kelvins, strict=True):
        for kind, seed in lines:
            found = [row for row in rows if (row["kind"], row["seed"]) == (kind, seed)]
            axes.loglog(
                [row["labels"] for row in found],
                [row["force_mae_meV_per_A"][kelvin] for row in found],
                "o-",
                color=f"C{kinds.index(kind)}",
                label=kind if seed == rows[0]["seed"] else None,
            )
        axes.set_title(f"{kelvin} K")
        axes.set_xlabel("labels")
        axes.set_xticks(labels, [str(number) for number in labels])
        axes.minorticks_off()
    ticks = [10, 20, 50, 100, 200, 500]
    panels[0].set_ylim(ticks[0], ticks[-1])
    panels[0].set_yticks(ticks, [str(tick) for tick in ticks])
    panels[0].set_ylabel("force error (meV/Å)")
    handles, names = panels[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=len(names), frameon=False)
    return figure


if __name__ == "__main__":
    main()
