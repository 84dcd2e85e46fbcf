"""Running a training."""

from __future__ import annotations

import shlex
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import lightning
import torch
from lightning.pytorch.utilities.exceptions import SIGTERMException

from ase_geomformer.acceleration.compiler import compiler_available
from ase_geomformer.accuracy.evaluation import Evaluation
from ase_geomformer.data.frames import Frame, label_table
from ase_geomformer.data.writer import write_frames
from ase_geomformer.machine.allocator import keep_freed_memory
from ase_geomformer.machine.display import Console
from ase_geomformer.machine.files import expanded, remove_leftovers, write_text
from ase_geomformer.potential import Potential
from ase_geomformer.runs.folder import SETTINGS_FILE, RunFolder, check_folder
from ase_geomformer.runs.lock import check_free, hold, released
from ase_geomformer.training.callbacks import has_started
from ase_geomformer.training.dataset import GraphDataset
from ase_geomformer.training.energy_shift import centre
from ase_geomformer.training.export import finish
from ase_geomformer.training.initial import (
    check_model,
    initial_potential,
    read_parts,
    with_ancestry,
)
from ase_geomformer.training.last_checkpoint import check_checkpoint
from ase_geomformer.training.loader import TrainingData, padded_size
from ase_geomformer.training.log import read_rows
from ase_geomformer.training.module import TrainingDiverged, TrainingModule
from ase_geomformer.training.objective import CompiledObjective, Objective
from ase_geomformer.training.settings import TrainSettings
from ase_geomformer.training.settings_file import FREE, to_yaml
from ase_geomformer.training.trainer import LAST_CHECKPOINT, LOG_FILE, make_trainer, quiet_lightning

SPLIT_FILE = "split.json"
NEIGHBORS_FOLDER = "neighbors"
BAD_BATCH_FILE = "bad_batch.extxyz"
# What a training may leave before its first checkpoint.
OWN_FILES = (
    SPLIT_FILE,
    NEIGHBORS_FOLDER,
    LOG_FILE.parent.name,
    LAST_CHECKPOINT.parent.name,
    "tensorboard",
)


class TrainingInterrupted(RuntimeError):
    """A signal stopped the training; it can be resumed."""


@dataclass(frozen=True)
class TrainResult:
    """Result of a training.

    Attributes
    ----------
    potential : Potential
        With the averaged weights, in evaluation mode.
    evaluation : Evaluation or None
        Its errors on the test frames, or the validation frames where there are none of those.
    folder : Path
        The run folder; ``folder / "potential"`` is ready to ship.
    reason : str
        Why it ended.
    steps : int
        Optimiser steps done.
    wall_time_s : float
    """

    potential: Potential
    evaluation: Evaluation | None
    folder: Path
    reason: str
    steps: int
    wall_time_s: float


def train(settings: TrainSettings, output: str | Path, *, resume: bool = False) -> TrainResult:
    """Train a potential.

    With several devices Lightning starts the running script again for each of them; a script
    must therefore do nothing else that should happen once.

    Parameters
    ----------
    settings : TrainSettings
    output : path
        Run folder. It receives ``settings.yaml``, ``split.json``, logs, checkpoints and, at the
        end, what :func:`~ase_geomformer.training.export.finish` writes.
    resume : bool
        Resume from the run folder's last checkpoint, exactly where it was written; start the
        training if there is none.

    Raises
    ------
    FileExistsError
        If the folder holds a run already and ``resume`` is not set.
    FileNotFoundError
        If the folder to resume in holds something else.
    ValueError
        If settings, data and machine do not fit together; nothing is lost then.
    TrainingInterrupted
        If the process received SIGTERM or Ctrl-C. A checkpoint is written.
    TrainingDiverged
        If the loss became NaN or exploded; the frames of the batch are in ``bad_batch.extxyz``.
    """
    keep_freed_memory()
    folder, settings = expanded(output), with_ancestry(settings)
    check_model(settings.model)
    with quiet_lightning(), torch.enable_grad(), _not_left_empty(folder), released(folder):
        trainer = make_trainer(settings, folder)
        if trainer.is_global_zero:
            _check_folder(folder, settings, resume)
        resume = resume and (folder / LAST_CHECKPOINT).exists()
        console = Console(quiet=not (settings.run.progress and trainer.is_global_zero))
        parts, split = read_parts(settings, folder / SPLIT_FILE)
        console.print(label_table(parts))
        if trainer.is_global_zero:
            _take(folder)
        potential, scale = initial_potential(
            settings, parts["train"], folder / NEIGHBORS_FOLDER, console
        )
        data = _data(settings, parts, potential, folder, trainer)
        module = _module(settings, potential, data, scale)
        if trainer.is_global_zero:
            split.save(folder / SPLIT_FILE)
            write_text(folder / SETTINGS_FILE, to_yaml(settings))
        seconds = _fit(trainer, module, data, folder, resume)
        trained = potential.copy(device="cpu")
        if settings.loss.energy.weight > 0 and settings.model.reference_energies_eV is None:
            centre(trained, parts["train"])
        evaluation = finish(settings, folder, trained, parts) if trainer.is_global_zero else None
    return TrainResult(
        potential=trained,
        evaluation=evaluation,
        folder=folder,
        reason=_reason(trainer, settings, module.learning_rate.time_used),
        steps=trainer.global_step,
        wall_time_s=seconds,
    )


def _check_folder(folder: Path, settings: TrainSettings, resume: bool) -> None:
    if not resume:
        # Neighbour lists may be left over from an attempt that failed before it began.
        check_folder(folder, own=(NEIGHBORS_FOLDER,))
        check_free(folder)
        return
    found = RunFolder(folder, resume=True, checkpoint=str(LAST_CHECKPOINT), own=OWN_FILES)
    if found.resumed:
        found.check_settings(settings, free=FREE)
        check_checkpoint(folder / LAST_CHECKPOINT)
        read_rows(folder / LOG_FILE)


@contextmanager
def _not_left_empty(folder: Path) -> Iterator[None]:
    """Remove a folder that was made here and is empty when an error ends this block."""
    was_there = folder.exists()
    try:
        yield
    except BaseException:
        if not was_there:
            with suppress(OSError):  # it has files in it, or was never made
                folder.rmdir()
        raise


def _take(folder: Path) -> None:
    """Keep other processes out of the run folder, and what killed ones left half written."""
    folder.mkdir(parents=True, exist_ok=True)
    hold(folder)
    for place in (folder, folder / NEIGHBORS_FOLDER):
        remove_leftovers(place)


def _data(
    settings: TrainSettings,
    parts: dict[str, list[Frame]],
    potential: Potential,
    folder: Path,
    trainer: lightning.Trainer,
) -> TrainingData:
    run = settings.run
    train, validation = (
        GraphDataset(
            parts[name],
            potential.cutoff,
            far_cutoff=potential.far_cutoff,
            dtype=getattr(torch, run.dtype),
            cache=folder / NEIGHBORS_FOLDER,
            progress=run.progress and trainer.is_global_zero,
        )
        if parts[name]
        else None
        for name in ("train", "validation")
    )
    assert train is not None
    if validation is None and (run.patience or settings.optimizer.schedule == "plateau"):
        raise ValueError(
            "run.patience and the plateau schedule need a validation set, which is empty; set "
            "split.validation"
        )
    return TrainingData(
        train,
        validation,
        settings.batches,
        seed=run.seed,
        rank=trainer.global_rank,
        world_size=trainer.world_size,
    )


def _module(
    settings: TrainSettings, potential: Potential, data: TrainingData, scale: float
) -> TrainingModule:
    plain = Objective(potential, settings.loss, scale)
    objective = plain
    if settings.run.compile and compiler_available("training"):
        dataset = data.train_loader.dataset
        size = padded_size(dataset, settings.batches, settings.run.world_size)
        objective = CompiledObjective(potential, settings.loss, scale, **size)
    return TrainingModule(potential, objective, plain, settings.optimizer, settings.run.steps)


def _fit(
    trainer: lightning.Trainer,
    module: TrainingModule,
    data: TrainingData,
    folder: Path,
    resume: bool,
) -> float:
    """Run the trainer and return the wall time in seconds; on a signal, say how to resume."""
    started = time.perf_counter()
    checkpoint = folder / LAST_CHECKPOINT if resume else None
    try:
        trainer.fit(module, datamodule=data, ckpt_path=checkpoint, weights_only=True)
    except SIGTERMException:
        again = shlex.join([str(folder / SETTINGS_FILE), "--output", str(folder), "--resume"])
        raise TrainingInterrupted(
            f"stopped at step {trainer.global_step} by a signal; resume with: "
            f"ase-geomformer train {again}"
        ) from None
    except SystemExit as done:  # Lightning's answer to a second Ctrl-C, which says nothing
        if isinstance(done.__context__, KeyboardInterrupt):
            raise KeyboardInterrupt from None
        raise
    except TrainingDiverged as error:
        part = f"-{trainer.global_rank}" if trainer.world_size > 1 else ""
        path = (folder / BAD_BATCH_FILE).with_stem(f"bad_batch{part}")
        write_frames(path, data.train_loader.present_frames)
        raise TrainingDiverged(f"{error} ({path})") from None
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, RuntimeError) as error:
        if checkpoint is None or has_started(trainer):
            raise
        reason = str(error).strip().split("\n")[0]
        raise ValueError(f"{checkpoint} cannot be resumed: {reason}") from error
    return time.perf_counter() - started


def _reason(trainer: lightning.Trainer, settings: TrainSettings, time_used: float) -> str:
    minutes = settings.run.minutes
    if minutes is not None and time_used >= 1.0:
        return f"the {minutes:g} minutes were over after {trainer.global_step} steps"
    if trainer.global_step < settings.run.steps:
        return f"the validation loss did not improve for {settings.run.patience} validations"
    return f"all {settings.run.steps} steps were done"
