"""Lightning callbacks: checkpoints to resume from, and a complete log."""

from __future__ import annotations

import signal
import threading
import time
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.pytorch.callbacks import Callback, Checkpoint, WeightAveraging
from lightning.pytorch.utilities.exceptions import SIGTERMException
from torch import Tensor

from ase_geomformer.training.log import Log
from ase_geomformer.training.schedule import warm_average


class ExactCheckpoint(Checkpoint):
    """Write a checkpoint every few minutes and when the run receives a signal to stop.

    Lightning's own periodic checkpoint comes before the validation of its step, which a resumed
    run then leaves out, and with it what early stopping and the plateau schedule learn from it.
    This one waits until that validation is over.

    Parameters
    ----------
    path : Path
        Replaced each time, atomically.
    minutes : float
        Time between checkpoints.
    validate_every : int
        Steps between validations.
    """

    def __init__(self, path: Path, minutes: float, validate_every: int) -> None:
        self.path, self.seconds, self.validate_every = path, 60.0 * minutes, validate_every
        self.saved_at = time.monotonic()

    def on_train_start(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        self.saved_at = time.monotonic()

    def on_train_batch_end(self, trainer: lightning.Trainer, *_: Any) -> None:
        validates = sum(trainer.num_val_batches) > 0
        if not validates or trainer.global_step % self.validate_every:
            self._save_when_due(trainer)

    def on_validation_end(
        self, trainer: lightning.Trainer, module: lightning.LightningModule
    ) -> None:
        self._save_when_due(trainer)

    def on_exception(
        self, trainer: lightning.Trainer, module: lightning.LightningModule, error: BaseException
    ) -> None:
        # A second Ctrl-C comes at any moment, perhaps with half of the weights updated.
        if isinstance(error, SIGTERMException):
            self._save(trainer)

    def _save_when_due(self, trainer: lightning.Trainer) -> None:
        due = time.monotonic() - self.saved_at >= self.seconds
        # Clocks differ, and all processes have to save together.
        if trainer.strategy.reduce_boolean_decision(due, all=False):
            self._save(trainer)
            self.saved_at = time.monotonic()

    def _save(self, trainer: lightning.Trainer) -> None:
        # The log first: a resumed run has the rows up to its checkpoint.
        for logger in trainer.loggers:
            logger.save()
        trainer.save_checkpoint(self.path)


class TimeLimit(Callback):
    """End the training after so many minutes, those before a resumed run included.

    Parameters
    ----------
    minutes : float
    """

    def __init__(self, minutes: float) -> None:
        self.seconds = 60.0 * minutes
        self.used = 0.0
        self._last = time.monotonic()

    def on_train_start(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        self._last = time.monotonic()

    def on_train_batch_end(self, trainer: lightning.Trainer, module: Any, *_: Any) -> None:
        now = time.monotonic()
        self.used, self._last = self.used + now - self._last, now
        module.learning_rate.time_used = self.used / self.seconds
        # Clocks differ, and all processes have to stop together.
        if trainer.strategy.reduce_boolean_decision(self.used >= self.seconds, all=False):
            trainer.should_stop = True

    def state_dict(self) -> dict[str, Any]:
        return {"used": self.used}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.used = state_dict["used"]


class FinishStep(Callback):
    """Stop the training after the current step on Ctrl-C or SIGTERM; a second Ctrl-C stops at once.

    Lightning puts back the handlers there were when the training is over.
    """

    def on_train_start(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        before = signal.getsignal(signal.SIGINT)

        def stop(*_: Any) -> None:
            signal.signal(signal.SIGINT, before)
            signal.raise_signal(signal.SIGTERM)

        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, stop)


class KeptHistory(Callback):
    """Keep the rows up to the checkpoint in the log of a resumed run."""

    def __init__(self) -> None:
        self.started = False

    def on_train_start(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        self.started = True
        for logger in trainer.loggers:
            if isinstance(logger, Log) and trainer.is_global_zero:
                logger.experiment.keep(trainer.global_step)

    def on_fit_end(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        # Lightning passes over a training of which all steps are done, and over its start.
        if not self.started:
            self.on_train_start(trainer, module)


def has_started(trainer: lightning.Trainer) -> bool:
    """Whether a trainer has restored what it resumes from."""
    callbacks: list[Any] = list(getattr(trainer, "callbacks", ()))
    return any(isinstance(entry, KeptHistory) and entry.started for entry in callbacks)


class AveragedWeights(WeightAveraging):
    """Averaged weights at the end, also of a run that resumes with all of its steps done.

    Parameters
    ----------
    decay : float
        See :func:`~ase_geomformer.training.schedule.warm_average`.
    """

    def __init__(self, decay: float) -> None:
        super().__init__(use_buffers=False)
        self.average = warm_average(decay)
        # Looking through all modules for them takes longer than the averages do.
        self._means: list[Tensor] = []
        self._weights: list[Tensor] = []

    def on_train_batch_end(
        self, trainer: lightning.Trainer, module: lightning.LightningModule, *_: Any
    ) -> None:
        if trainer.global_step <= self._latest_update_step:
            return
        self._latest_update_step = trainer.global_step
        averages = self._average_model
        assert averages is not None
        if averages.n_averaged == 0:  # a copy
            averages.update_parameters(module)
            return
        if not self._means:
            self._means = list(averages.module.parameters())
            self._weights = list(module.parameters())
        with torch.no_grad():
            self.average(self._means, self._weights, averages.n_averaged)
            averages.n_averaged += 1

    @property
    def state_key(self) -> str:
        """Name of its state in checkpoints, as in those of earlier versions."""
        return WeightAveraging.__qualname__

    def on_fit_end(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        # Lightning passes over such a training, and over its end, where they are taken.
        self.on_train_end(trainer, module)
