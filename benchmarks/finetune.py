"""Fine-tuning of SO3LR beside training the same network from nothing, as a table and a figure.

    ase-geomformer models get so3lr
    python benchmarks/finetune.py --docs docs

Both trainings have the same frames, steps and batches; each has the learning rate that suits it.
The frames to judge by are the same for all. SO3LR as it is counts energies from another zero: its
mean energy error is taken off before it is judged. Weights stay in a temporary folder, or in
``--runs``, from which an interrupted benchmark resumes.
"""

from __future__ import annotations

import json
import tempfile
from argparse import ArgumentParser
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from ase_geomformer.accuracy.readme.markdown import table
from ase_geomformer.checkpoint.folder import read_card
from ase_geomformer.data.frames import Frame
from ase_geomformer.data.readers import read_frames
from ase_geomformer.data.sources import DataSettings
from ase_geomformer.data.splits import SplitSettings
from ase_geomformer.evaluate import evaluate_many
from ase_geomformer.machine.files import write_text
from ase_geomformer.physics import neutralised
from ase_geomformer.registry import find_potential
from ase_geomformer.runs.style import (
    BLUE,
    GREY,
    ORANGE,
    PAGE,
    SERIES,
    SMALLEST_PT,
    dress,
    new_figure,
    plain_log_ticks,
    save_figure,
)
from ase_geomformer.training.losses import LossSettings, TargetLoss
from ase_geomformer.training.run import train
from ase_geomformer.training.settings import (
    BatchSettings,
    ModelSettings,
    OptimizerSettings,
    RunSettings,
    TrainSettings,
)

DOCS = Path(__file__).parent.parent / "docs"
START = "so3lr"
AS_IT_IS, FRESH = "SO3LR as it is", "trained from nothing"
TUNED, WITHOUT_DIPOLES = "SO3LR fine-tuned", "the same, without dipoles"
FORMS = (AS_IT_IS, FRESH, TUNED, WITHOUT_DIPOLES)
LEARNING_RATES = {FRESH: 1e-3, TUNED: 2e-4, WITHOUT_DIPOLES: 2e-4}
# Of the test frames, so that judging does not take longer than training.
MOST_TEST_FRAMES = 500


@dataclass(frozen=True)
class Case:
    """Frames to train on and to judge by, numbers of training frames, and the trainings."""

    title: str
    data: DataSettings
    test: DataSettings
    frames: tuple[int, ...]
    steps: int
    batch: int


def cases(shared: Path) -> dict[str, Case]:
    """The data sets, small enough for one core."""
    h2co = str(shared / "data/h2co_ccsdt/h2co_ccsdt_4001.npz")
    peptides = shared / "data/spice_dipeptides"
    return {
        "h2co": Case(
            "formaldehyde, CCSD(T)/aug-cc-pVTZ",
            DataSettings(h2co, dipole_key="dipole", select={"split200": [0, 1]}),
            DataSettings(h2co, dipole_key="dipole", select={"split200": 2}),
            frames=(200, 50),
            steps=300,
            batch=10,
        ),
        "dipeptides": Case(
            "dipeptides of SPICE, wB97M-D3(BJ)/def2-TZVPPD",
            DataSettings(str(peptides / "train.extxyz.xz"), dipole_key="dipole"),
            DataSettings(str(peptides / "test.extxyz.xz"), dipole_key="dipole"),
            frames=(50,),
            steps=150,
            batch=2,
        ),
    }


def main() -> None:
    """Train, judge, write numbers and figure, and print the table."""
    parser = ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shared", type=Path, default=Path("../shared"), help="reference data")
    parser.add_argument("--cases", nargs="+", help="data sets; all of them when left out")
    parser.add_argument("--frames", nargs="+", type=int, help="to train on; as listed if left out")
    parser.add_argument("--steps", type=int, help="steps of every training")
    parser.add_argument("--runs", type=Path, help="folder of the trainings; temporary if left out")
    parser.add_argument("--docs", type=Path, default=DOCS, help="folder of benchmarks and images")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        runs = options.runs or Path(temporary)
        rows: list[dict[str, Any]] = []
        for name, case in cases(options.shared).items():
            if options.cases is None or name in options.cases:
                numbers, steps = options.frames or case.frames, options.steps or case.steps
                for row in judged(name, case, numbers, steps, runs):
                    rows.append(row)
                    print(json.dumps(row), flush=True)
                    content = json.dumps(rows, indent=1) + "\n"
                    write_text(options.docs / "benchmarks/finetune.json", content)
    save_figure(draw(rows), options.docs / "images/finetune.png")
    print(markdown(rows))


def judged(
    name: str, case: Case, numbers: Sequence[int], steps: int, runs: Path
) -> Iterator[dict[str, Any]]:
    """Errors of SO3LR and of each training of a case."""
    test = read_frames(case.test)[:MOST_TEST_FRAMES]
    common = {"case": name, "title": case.title, "test_frames": len(test)}
    yield {**common, "form": AS_IT_IS, "frames": 0, "steps": 0, **errors(START, test, True)}
    for frames in numbers:
        for form in FORMS[1:]:
            folder = runs / f"{name}-{frames}-{form.split()[-1]}"
            settings = training(case, form, frames, steps)
            potential = folder / "potential"
            if not potential.exists():
                train(settings, folder, resume=folder.exists())
            row = {**common, "form": form, "frames": frames, "steps": steps}
            yield {**row, **errors(potential, test, False)}


def training(case: Case, form: str, frames: int, steps: int) -> TrainSettings:
    """Settings of a training; those from nothing have the architecture and terms of SO3LR."""
    rate = LEARNING_RATES[form]
    if form != FRESH:
        model = ModelSettings(start_from=START, refit_references=True)
    else:
        card = read_card(find_potential(START))
        settings = {**card.settings, "avg_num_neighbors": None}
        model = ModelSettings(card.architecture, settings, neutralised(card.terms))
    return TrainSettings(
        "benchmark",
        case.data,
        split=SplitSettings(train=frames, validation=0),
        model=model,
        loss=LossSettings(dipole=TargetLoss(weight=0.0 if form == WITHOUT_DIPOLES else 1.0)),
        batches=BatchSettings(size=case.batch),
        optimizer=OptimizerSettings(learning_rate=rate, warmup_steps=50, ema_decay=0.99),
        run=RunSettings(steps=steps, validate_every=steps, seed=1, checkpoint_minutes=2.0),
    )


def errors(potential: Any, frames: list[Frame], other_zero: bool) -> dict[str, float]:
    """Mean absolute errors of energies, forces and dipoles."""
    found = evaluate_many([f.atoms for f in frames], potential, ("energy", "forces", "dipole"))
    energy = np.array(
        [
            (one["energy"] - frame.energy) / len(frame.atoms)
            for one, frame in zip(found, frames, strict=True)
        ]
    )
    forces = np.concatenate(
        [one["forces"] - frame.forces for one, frame in zip(found, frames, strict=True)]
    )
    dipole = np.array(
        [one["dipole"] - frame.dipole for one, frame in zip(found, frames, strict=True)]
    )
    if other_zero:
        energy -= energy.mean()
    return {
        "energy_mae_meV_per_atom": 1000.0 * float(np.abs(energy).mean()),
        "forces_mae_meV_per_A": 1000.0 * float(np.abs(forces).mean()),
        "dipole_mae_me_A": 1000.0 * float(np.abs(dipole).mean()),
    }


def markdown(rows: list[dict[str, Any]]) -> str:
    """The table of the documentation."""
    headings = ["data", "frames", "steps", "", "energy (meV/atom)", "forces (meV/Å)"]
    lines = [
        (
            row["title"],
            str(row["frames"] or ""),
            f"{row['steps']:,}" if row["steps"] else "",
            row["form"],
            f"{row['energy_mae_meV_per_atom']:.3g}",
            f"{row['forces_mae_meV_per_A']:.3g}",
            f"{row['dipole_mae_me_A']:.3g}",
        )
        for row in rows
    ]
    return table([*headings, "dipole (0.001 e Å)"], lines)


def draw(rows: list[dict[str, Any]]) -> Figure:
    """Errors of the forces as bars, on a logarithmic axis."""
    figure = new_figure(PAGE, 3.0)
    axes = figure.subplots()
    groups = list(dict.fromkeys((row["title"], row["frames"]) for row in rows if row["frames"]))
    colours = dict(zip(FORMS, (GREY, ORANGE, BLUE, SERIES[4]), strict=True))
    for place, (title, frames) in enumerate(groups):
        for shift, form in enumerate(FORMS):
            (row,) = (
                row
                for row in rows
                if row["title"] == title and row["form"] == form and row["frames"] in (frames, 0)
            )
            error = row["forces_mae_meV_per_A"]
            label = form if place == 0 else None
            at = place + 0.21 * (shift - 1.5)
            axes.bar(at, error, 0.2, color=colours[form], label=label)
            axes.text(at, error, f"{error:.3g}", ha="center", va="bottom", fontsize=SMALLEST_PT)
    axes.set_yscale("log")
    axes.set_ylabel("force MAE (meV/Å)")
    names = [f"{title.split(',')[0]}\n{frames} frames" for title, frames in groups]
    axes.set_xticks(range(len(groups)), names)
    axes.margins(y=0.15)
    axes.legend(
        frameon=False, ncols=4, loc="lower left", bbox_to_anchor=(-0.05, 1.0), fontsize=SMALLEST_PT,
        columnspacing=1.2, handlelength=1.5,
    )  # fmt: skip
    plain_log_ticks(axes.yaxis)
    dress(axes)
    return figure


if __name__ == "__main__":
    main()
