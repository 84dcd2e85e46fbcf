"""The Lightning trainer: processes, averaged weights, checkpoints, logs and a quiet console."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import lightning
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch import callbacks as lightning_callbacks
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.strategies import DDPStrategy

from ase_geomformer.training.callbacks import (
    AveragedWeights,
    ExactCheckpoint,
    FinishStep,
    KeptHistory,
    TimeLimit,
)
from ase_geomformer.training.log import Log
from ase_geomformer.training.progress import Progress
from ase_geomformer.training.settings import TrainSettings

LAST_CHECKPOINT = Path("checkpoints") / "last.ckpt"
LOG_FILE = Path("logs") / "metrics.csv"


def make_trainer(settings: TrainSettings, folder: Path) -> lightning.Trainer:
    """The trainer of a run folder; nothing is written before training starts.

    Raises
    ------
    ValueError
        If the machine does not have the accelerator or the devices asked for.
    """
    run, optimizer = settings.run, settings.optimizer
    callbacks: list[lightning_callbacks.Callback] = [
        AveragedWeights(optimizer.ema_decay),
        lightning_callbacks.LearningRateMonitor("step"),
        KeptHistory(),
        FinishStep(),
    ]
    if run.minutes is not None:
        callbacks.append(TimeLimit(run.minutes))
    if run.progress:
        callbacks.append(Progress(run.steps))
    if run.patience is not None:
        callbacks.append(lightning_callbacks.EarlyStopping("val_loss", patience=run.patience))
    # Last, so that it saves what the others have made of a validation.
    callbacks.append(
        ExactCheckpoint(folder / LAST_CHECKPOINT, run.checkpoint_minutes, run.validate_every)
    )
    try:
        return lightning.Trainer(
            accelerator=run.accelerator,
            devices=run.devices,
            num_nodes=run.num_nodes,
            strategy=DDPStrategy() if run.world_size > 1 else "auto",
            max_steps=run.steps,
            val_check_interval=run.validate_every,
            check_val_every_n_epoch=None,
            log_every_n_steps=min(50, run.validate_every, run.steps),
            gradient_clip_val=optimizer.clip_norm,
            num_sanity_val_steps=0,
            inference_mode=False,  # validation needs forces, which are a gradient
            use_distributed_sampler=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            callbacks=callbacks,
            logger=[
                Log(folder, name=LOG_FILE.parent.name, version=""),
                TensorBoardLogger(folder, name="", version="tensorboard"),
            ],
        )
    except MisconfigurationException as error:
        raise ValueError(
            f"run.accelerator {run.accelerator!r} with {run.devices} devices on {run.num_nodes} "
            f"nodes is not available on this machine: {error}"
        ) from error


@contextmanager
def quiet_lightning() -> Iterator[None]:
    """Silence Lightning's hints about hardware and loggers."""
    names = ("lightning.pytorch", "lightning.fabric", "lightning.pytorch.utilities.rank_zero")
    loggers = [logging.getLogger(name) for name in names]
    levels = [logger.level for logger in loggers]
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module=r"lightning\.")
            # Of one row, any stride is right; torch compares them all the same.
            warnings.filterwarnings("ignore", message="Grad strides do not match")
            for logger in loggers:
                logger.setLevel(logging.WARNING)
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
