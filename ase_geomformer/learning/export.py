"""What a run of learn leaves: potentials, labels, figures and the result."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ase_geomformer.accuracy.evaluation import evaluate_frames
from ase_geomformer.accuracy.figures import parity
from ase_geomformer.accuracy.readme.page import write_evaluations, write_readme
from ase_geomformer.calculator import PotentialCalculator
from ase_geomformer.checkpoint.folder import Card, DataSource, save_potential
from ase_geomformer.committee import CALIBRATION
from ase_geomformer.data.frames import Frame
from ase_geomformer.data.writer import write_frames
from ase_geomformer.learning import figures
from ase_geomformer.learning.committee_errors import predict
from ase_geomformer.learning.context import LearnContext
from ase_geomformer.learning.label import FRAMES_FILE
from ase_geomformer.learning.learner import Learner
from ase_geomformer.learning.result import LearnResult
from ase_geomformer.learning.teacher import Teacher
from ase_geomformer.learning.validation import divided
from ase_geomformer.page import check_installed, write_page
from ase_geomformer.runs.folder import COMMITTEE_FOLDER, POTENTIAL_FOLDER

FILES = (FRAMES_FILE, "progress.png", "calibration.png", "coverage.png", "parity.png")
NUM_GOLDEN = 2


def finish(learner: Learner, teacher: Teacher, about: Mapping[str, Any]) -> LearnResult:
    """Write everything, and give the result."""
    assert learner.acceptance is not None
    assert learner.verdict is not None
    context, state = learner.context, learner.context.state
    folder, path = context.folder, context.path
    with_page = _page_is_possible(context)
    frames = context.frames()
    train, held = divided(frames)
    fresh = learner.acceptance.frames
    # The potential is judged by what no member was trained with.
    judged = fresh + held
    golden = [frame.atoms for frame in (judged or train)[:NUM_GOLDEN]]
    cards = _cards(learner, about)
    for index, potential in enumerate(learner.potentials):
        save_potential(potential, path / COMMITTEE_FOLDER / f"member_{index}", cards, golden)
    shipped = path / POTENTIAL_FOLDER
    best = learner.potentials[learner.best]
    save_potential(best, shipped, cards, golden)
    if judged:
        evaluation = evaluate_frames(best, judged)
        write_evaluations(shipped, {"test": evaluation})
        folder.save_figure("parity.png", lambda: parity(evaluation))
        predicted = predict(learner.prepared, [frame.atoms for frame in judged])
        folder.save_figure(
            "calibration.png", lambda: figures.calibration(judged, predicted, learner.calibration)
        )
    write_readme(shipped)
    write_frames(path / FRAMES_FILE, [*frames, *fresh])
    folder.save_figure("coverage.png", lambda: figures.coverage([*frames, *fresh]))
    if state.rounds:
        target = context.settings.target_meV_per_A
        folder.save_figure("progress.png", lambda: figures.progress(state.rounds, target))
    folder.save_final(learner.structure)
    train_mae, validation_mae = learner.final_errors
    result = LearnResult(
        converged=learner.verdict.reached,
        reason=learner.verdict.text,
        wall_time=context.elapsed_s,
        output=path,
        verdict=learner.verdict,
        potential=shipped,
        errors={
            **learner.acceptance.errors,
            CALIBRATION: learner.calibration,
            "drift_meV_per_atom_per_ps": learner.acceptance.drift_meV_per_atom_per_ps,
            "nve_ps": learner.acceptance.nve_ps,
            "selftest": learner.acceptance.selftest or "passed",
        },
        train_mae_meV_per_A=train_mae,
        validation_mae_meV_per_A=validation_mae,
        labels=len(context.store),
        calls=context.store.calls,
        failed_calls=len(context.store.failures),
        teacher_s=sum(context.store.seconds),
        training_s=state.training_s,
        steps=learner.students.steps,
        rounds=state.rounds,
        notes=[*state.notes, *learner.remarks],
    )
    calculator = PotentialCalculator(shipped, device="cpu")
    folder.write_result(result, calculator, seed=context.settings.seed, teacher=dict(about))
    if with_page:
        write_page(path)
    # Only now: a run that is killed before writes all of this again, and begins no further part.
    state.finished = True
    context.save()
    return result


def _page_is_possible(context: LearnContext) -> bool:
    """Whether what writes the page is installed; the user is told where it is not."""
    try:
        check_installed()
    except ImportError as error:
        context.note(str(error))
        return False
    return True


def _cards(learner: Learner, about: Mapping[str, Any]) -> Card:
    """The card of all members."""
    settings, store = learner.context.settings, learner.context.store
    formula = learner.structure.get_chemical_formula()
    method = ", ".join(f"{name} {value}" for name, value in about["arguments"].items())
    packages = " ".join(f"{name} {version}" for name, version in about["package"].items())
    theory = f"{about['name']}{f' ({method})' if method else ''}, {packages}".rstrip(", ")
    origins = counts(learner.context.frames())
    sampling = ", ".join(f"{number} {origin}" for origin, number in origins.items())
    assert learner.acceptance is not None
    errors = learner.acceptance.errors
    named = {
        "test_forces_mae_meV_per_A": errors.get("use_meV_per_A"),
        "test_forces_mae_hot_meV_per_A": errors.get("hot_meV_per_A"),
        CALIBRATION: learner.calibration,
        "temperature_K": settings.temperature_K,
        "teacher_calls": float(store.calls),
        "seed": float(settings.seed),
        "training_steps": float(learner.students.steps),
    }
    return Card(
        name=f"{formula} from {about['name']}",
        description=(
            f"{formula} at up to {settings.hot_K:g} K, learned from {store.calls} calls of "
            f"{about['name']}; labels by sampling: {sampling}"
        ),
        data=[
            DataSource(
                name=f"labels of {formula}",
                licence="",
                citation="",
                level_of_theory=theory,
                frames=len(store),
            )
        ],
        figures={name: float(value) for name, value in named.items() if value is not None},
    )


def counts(frames: list[Frame]) -> dict[str, int]:
    """Number of labels by how their structures were made."""
    found: dict[str, int] = {}
    for frame in frames:
        origin = str(frame.atoms.info.get("origin", ""))
        found[origin] = found.get(origin, 0) + 1
    return found
