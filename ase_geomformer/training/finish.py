"""What a training leaves behind: the potential ready to ship, its errors, and figures."""

from __future__ import annotations

import shutil
from pathlib import Path

from matplotlib.figure import Figure

from ase_geomformer.calculator import PotentialCalculator
from ase_geomformer.checkpoint import Card, save_potential
from ase_geomformer.files import atomic_file
from ase_geomformer.potential import Potential
from ase_geomformer.provenance import SETTINGS_FILE, provenance, write_result
from ase_geomformer.training import figures
from ase_geomformer.training.evaluation import Evaluation, evaluate_frames
from ase_geomformer.training.frames import Frame
from ase_geomformer.training.settings import TrainSettings

POTENTIAL_FOLDER = "potential"
LOG_FILE = Path("logs") / "metrics.csv"
NUM_GOLDEN = 2


def finish(
    settings: TrainSettings, folder: Path, potential: Potential, parts: dict[str, list[Frame]]
) -> Evaluation | None:
    """Judge a trained potential and write everything a user wants of it into the run folder.

    ``potential/`` with its card, the settings as ``train.yaml`` and golden vectors;
    ``result.json`` with all errors; ``predictions.npz``; ``parity.png``,
    ``errors_by_element.png`` and ``learning_curve.png``.

    Parameters
    ----------
    settings : TrainSettings
    folder : Path
        The run folder.
    potential : Potential
        With the weights to ship.
    parts : dict of str to list of Frame
        It is judged on ``test`` where there is any, else on ``validation``; golden vectors are
        taken from the same frames, else from ``train``.

    Returns
    -------
    Evaluation or None
        Errors on the test or validation frames; None without any.
    """
    judged = next((part for part in ("test", "validation") if parts[part]), None)
    evaluation = None
    errors: dict[str, float] = {}
    if judged is not None:
        evaluation = evaluate_frames(potential, parts[judged], progress=settings.run.progress)
        errors = {f"{judged}_{name}": value for name, value in evaluation.headlines.items()}
        evaluation.save(folder / "predictions.npz")
        _save(figures.parity(evaluation), folder / "parity.png")
        _save(figures.errors_by_element(evaluation), folder / "errors_by_element.png")
    _save(figures.learning_curve(folder / LOG_FILE), folder / "learning_curve.png")
    golden = [frame.atoms for frame in parts[judged or "train"][:NUM_GOLDEN]]
    card = Card(name=settings.name, figures=errors, **vars(settings.card))
    save_potential(potential, folder / POTENTIAL_FOLDER, card, golden)
    shutil.copy(folder / SETTINGS_FILE, folder / POTENTIAL_FOLDER / "train.yaml")
    content = {judged: evaluation.to_dict()} if judged and evaluation else {}
    origin = provenance(PotentialCalculator(potential), seed=settings.run.seed)
    write_result(folder, {"potential": settings.name, **content, "provenance": origin})
    return evaluation


def _save(figure: Figure, path: Path) -> None:
    with atomic_file(path) as temporary:
        figure.savefig(temporary, dpi=160)
