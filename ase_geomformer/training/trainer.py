"""The Lightning trainer: checkpoints, averaged weights, logs, and a quiet console."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import lightning
from lightning.pytorch import callbacks as lightning_callbacks
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger
from lightning.pytorch.utilities.exceptions import SIGTERMException

from ase_geomformer.training.module import warm_average
from ase_geomformer.training.settings import TrainSettings

LAST_CHECKPOINT = "last.ckpt"


def make_trainer(settings: TrainSettings, folder: Path) -> lightning.Trainer:
    """The trainer of a run that keeps its files in ``folder``."""
    run, optimizer = settings.run, settings.optimizer
    callbacks: list[lightning_callbacks.Callback] = [
        lightning_callbacks.WeightAveraging(
            use_buffers=False, avg_fn=warm_average(optimizer.ema_decay)
        ),
        lightning_callbacks.ModelCheckpoint(
            folder / "checkpoints",
            train_time_interval=timedelta(minutes=run.checkpoint_minutes),
            save_last=True,
            save_top_k=0,
            enable_version_counter=False,
        ),
        lightning_callbacks.LearningRateMonitor("step"),
        SaveOnSignal(folder / "checkpoints" / LAST_CHECKPOINT),
    ]
    if run.progress:
        callbacks.append(lightning_callbacks.RichProgressBar(refresh_rate=10))
    if run.patience is not None:
        callbacks.append(lightning_callbacks.EarlyStopping("val_loss", patience=run.patience))
    return lightning.Trainer(
        accelerator=run.accelerator,
        devices=run.devices,
        num_nodes=run.num_nodes,
        max_steps=run.steps,
        val_check_interval=run.validate_every,
        check_val_every_n_epoch=None,
        log_every_n_steps=min(50, run.validate_every),
        gradient_clip_val=optimizer.clip_norm,
        num_sanity_val_steps=0,
        inference_mode=False,  # validation needs forces, which are a gradient
        use_distributed_sampler=False,
        enable_progress_bar=run.progress,
        enable_model_summary=False,
        callbacks=callbacks,
        logger=[
            CSVLogger(folder, name="logs", version=""),
            TensorBoardLogger(folder, name="", version="tensorboard"),
        ],
    )


class SaveOnSignal(lightning_callbacks.Callback):
    """Write the checkpoint to resume from when the run is told to stop (SIGTERM, Ctrl-C)."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def on_exception(
        self, trainer: lightning.Trainer, module: lightning.LightningModule, error: BaseException
    ) -> None:
        if isinstance(error, (SIGTERMException, KeyboardInterrupt)):
            trainer.save_checkpoint(self.path)


@contextmanager
def quiet_lightning() -> Iterator[None]:
    """Keep Lightning's hints about hardware and loggers out of the way of the progress bar."""
    loggers = [logging.getLogger(f"lightning.{name}") for name in ("pytorch", "fabric")]
    levels = [logger.level for logger in loggers]
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module=r"lightning\.")
            for logger in loggers:
                logger.setLevel(logging.WARNING)
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
