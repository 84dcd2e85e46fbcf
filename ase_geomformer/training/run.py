"""A training from settings to a potential that ships."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from pathlib import Path

import lightning
import torch
import yaml
from rich.console import Console

from ase_geomformer.files import write_text
from ase_geomformer.potential import Potential
from ase_geomformer.provenance import SETTINGS_FILE
from ase_geomformer.training.dataset import GraphDataset
from ase_geomformer.training.evaluation import Evaluation
from ase_geomformer.training.finish import finish
from ase_geomformer.training.frames import Frame, label_table
from ase_geomformer.training.loader import TrainingData, padded_size
from ase_geomformer.training.module import TrainingDiverged, TrainingModule
from ase_geomformer.training.objective import CompiledObjective, Objective, compiler_available
from ase_geomformer.training.settings import TrainSettings
from ase_geomformer.training.start import NEIGHBOR_FOLDER, initial_potential, read_parts
from ase_geomformer.training.trainer import LAST_CHECKPOINT, make_trainer, quiet_lightning
from ase_geomformer.training.writer import write_frames


@dataclass(frozen=True)
class TrainResult:
    """What a training gave.

    Attributes
    ----------
    potential : Potential
        With the averaged weights, in evaluation mode.
    evaluation : Evaluation or None
        Its errors on the test frames, or the validation frames where there are none of those.
    folder : Path
        The run folder; ``folder / "potential"`` is ready to ship.
    completed : bool
        Whether all steps were done or training stopped early as it should.
    reason : str
        Why it ended.
    steps : int
        Optimiser steps done.
    wall_time_s : float
    """

    potential: Potential
    evaluation: Evaluation | None
    folder: Path
    completed: bool
    reason: str
    steps: int
    wall_time_s: float


def train(settings: TrainSettings, output: str | Path, *, resume: bool = False) -> TrainResult:
    """Train a potential.

    Parameters
    ----------
    settings : TrainSettings
    output : path
        Run folder. It receives ``settings.yaml``, ``split.json``, logs, checkpoints and, at the
        end, what :func:`~ase_geomformer.training.finish.finish` writes.
    resume : bool
        Go on from the run folder's last checkpoint, exactly where it was written.

    Raises
    ------
    FileExistsError
        If the folder holds a run already and ``resume`` is not set.
    FileNotFoundError
        If there is nothing to resume.
    TrainingDiverged
        If the loss became NaN or exploded; the frames of the batch are in ``bad_batch.extxyz``.
    """
    folder = Path(output)
    checkpoint = folder / "checkpoints" / LAST_CHECKPOINT
    _check_folder(folder, checkpoint, resume)
    console = Console(quiet=not settings.run.progress)
    parts = read_parts(settings, folder)
    console.print(label_table(parts))
    potential, scale = initial_potential(settings, parts["train"], folder, console)
    data = _datasets(settings, parts, potential.cutoff, folder)
    module = _module(settings, potential, data, scale)
    write_text(folder / SETTINGS_FILE, yaml.safe_dump(asdict(settings), sort_keys=False))
    started = time.perf_counter()
    with quiet_lightning():
        trainer = make_trainer(settings, folder)
        try:
            trainer.fit(
                module, datamodule=data, ckpt_path=checkpoint if resume else None, weights_only=True
            )
        except TrainingDiverged as error:
            assert data.train_loader is not None
            path = folder / "bad_batch.extxyz"
            write_frames(path, data.train_loader.present_frames)
            raise TrainingDiverged(f"{error} ({path})", error.batch) from None
    trained = potential.copy(device="cpu")
    evaluation = None
    if trainer.is_global_zero and not trainer.interrupted:
        evaluation = finish(settings, folder, trained, parts)
    return TrainResult(
        potential=trained,
        evaluation=evaluation,
        folder=folder,
        completed=not trainer.interrupted,
        reason=_reason(trainer, settings),
        steps=trainer.global_step,
        wall_time_s=time.perf_counter() - started,
    )


def _check_folder(folder: Path, checkpoint: Path, resume: bool) -> None:
    if resume and not checkpoint.exists():
        raise FileNotFoundError(f"{checkpoint} does not exist: there is no run to resume")
    if not resume and folder.exists() and any(folder.iterdir()):
        raise FileExistsError(
            f"{folder} is not empty; resume the run in it, or give another output folder"
        )


def _datasets(
    settings: TrainSettings, parts: dict[str, list[Frame]], cutoff: float, folder: Path
) -> TrainingData:
    dtype = getattr(torch, settings.run.dtype)
    train, validation = (
        GraphDataset(
            parts[name],
            cutoff,
            dtype=dtype,
            cache=folder / NEIGHBOR_FOLDER,
            progress=settings.run.progress,
        )
        if parts[name]
        else None
        for name in ("train", "validation")
    )
    assert train is not None
    return TrainingData(train, validation, settings.batches, settings.run.seed)


def _module(
    settings: TrainSettings, potential: Potential, data: TrainingData, scale: float
) -> TrainingModule:
    plain = Objective(potential, settings.loss, scale)
    objective = plain
    if settings.run.compile and compiler_available():
        world_size = settings.run.devices * settings.run.num_nodes
        atoms, edges = padded_size(data.train, settings.batches, world_size)
        objective = CompiledObjective(
            potential, settings.loss, scale, num_atoms=atoms, num_edges=edges
        )
    return TrainingModule(potential, objective, plain, settings.optimizer, settings.run.steps)


def _reason(trainer: lightning.Trainer, settings: TrainSettings) -> str:
    if trainer.interrupted:
        return f"stopped at step {trainer.global_step} by a signal; resume to go on"
    if trainer.global_step < settings.run.steps:
        return f"the validation loss did not improve for {settings.run.patience} validations"
    return f"all {settings.run.steps} steps were done"
