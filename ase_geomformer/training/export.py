"""Results of a training: the final potential, its errors and figures."""

from __future__ import annotations

import shutil
import warnings
from pathlib import Path

from ase_geomformer.accuracy.calibration import fit_confidence
from ase_geomformer.accuracy.evaluation import Evaluation, evaluate_frames
from ase_geomformer.accuracy.figures import learning_curve
from ase_geomformer.accuracy.readme.page import write_evaluations, write_readme
from ase_geomformer.accuracy.rotation import rotation_error
from ase_geomformer.calculator import PotentialCalculator
from ase_geomformer.checkpoint.folder import Card, load_folder, save_potential
from ase_geomformer.confidence.file import write_confidence
from ase_geomformer.data.frames import Frame
from ase_geomformer.potential import Potential
from ase_geomformer.runs.folder import POTENTIAL_FOLDER, SETTINGS_FILE, write_result
from ase_geomformer.runs.provenance import provenance
from ase_geomformer.runs.style import save_figure
from ase_geomformer.training.settings import TrainSettings
from ase_geomformer.training.trainer import LOG_FILE

NUM_GOLDEN = 2
# Frames that statistics of the training data are calibrated with.
FEWEST_HELD_OUT, MOST_HELD_OUT = 10, 200


def finish(
    settings: TrainSettings, folder: Path, potential: Potential, parts: dict[str, list[Frame]]
) -> Evaluation | None:
    """Evaluate a trained potential and write potential, errors and figures into the run folder.

    ``potential/`` holds card, weights, golden vectors, the settings as ``train.yaml``, errors,
    figures and a README; beside it lie ``result.json`` and ``predictions.npz``.

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
    evaluation = evaluate_frames(potential, parts[judged]) if judged else None
    errors = evaluation.headlines if evaluation else {}
    golden = [frame.atoms for frame in parts[judged or "train"][:NUM_GOLDEN]]
    figures = {f"{judged}_{name}": value for name, value in errors.items()}
    if not potential.architecture.exact_equivariance:
        figures["rotation_error_meV_per_A"] = 1000.0 * rotation_error(potential, golden)
    card = Card(
        name=settings.name,
        figures=figures,
        **vars(settings.card),
    )
    shipped = folder / POTENTIAL_FOLDER
    save_potential(potential, shipped, card, golden)
    shutil.copy(folder / SETTINGS_FILE, shipped / "train.yaml")
    save_figure(learning_curve(folder / LOG_FILE), shipped / "learning_curve.png")
    if judged and evaluation:
        write_evaluations(shipped, {judged: evaluation})
        evaluation.save(folder / "predictions.npz")
    _write_confidence(settings, shipped, parts)
    write_readme(shipped)
    content = {judged: evaluation.to_dict()} if judged and evaluation else {}
    calculator = PotentialCalculator(shipped, device="cpu", dtype=settings.run.dtype)
    origin = provenance(calculator, seed=settings.run.seed)
    write_result(folder, {"potential": settings.name, **content, "provenance": origin})
    return evaluation


def _write_confidence(
    settings: TrainSettings, shipped: Path, parts: dict[str, list[Frame]]
) -> None:
    """Statistics of the training data, calibrated on frames held out, where there are enough."""
    held_out = [
        frame
        for part in ("validation", "test")
        for frame in parts[part]
        if frame.energy is not None and frame.forces is not None
    ][:MOST_HELD_OUT]
    if len(held_out) < FEWEST_HELD_OUT:
        return
    potential = load_folder(shipped)
    try:
        made = fit_confidence(potential, parts["train"], held_out, progress=settings.run.progress)
    except (ValueError, RuntimeError) as error:  # of an architecture without such a layer
        warnings.warn(f"no statistics for domain and uncertainty: {error}", stacklevel=2)
        return
    write_confidence(shipped, made)
