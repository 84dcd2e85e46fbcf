"""Progress of a training in one line: live in a terminal, otherwise one line per validation."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import lightning
from lightning.pytorch.callbacks import Callback

from ase_geomformer.machine.display import Console
from ase_geomformer.machine.display import Progress as Bar
from ase_geomformer.runs.report import new_bar
from ase_geomformer.training.module import DISPLAY

# How the figures of the log appear; those it does not have yet are left out.
SHOWN = {
    "train_loss": "loss {:.3g}",
    f"val_{DISPLAY['energy'][0]}": "E {:.3g} meV/atom",
    f"val_{DISPLAY['forces'][0]}": "F {:.3g} meV/Å",
    f"val_{DISPLAY['stress'][0]}": "stress {:.3g} GPa",
}
REFRESH_SECONDS = 0.5


class Progress(Callback):
    """Steps, loss, validation errors, learning rate, speed and time left.

    Where the time ends the training (``run.minutes``), steps in all are those that it will allow.

    Parameters
    ----------
    steps : int
        Most optimiser steps.
    console : Console, optional
        Where to show it; standard output when left out.
    """

    def __init__(self, steps: int, console: Console | None = None) -> None:
        self.steps, self.console = steps, console or Console()
        self.bar: Bar | None = None
        self.shown = (0, 0.0)

    def on_train_start(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        if not trainer.is_global_zero:
            return
        self.shown = (trainer.global_step, time.monotonic())
        if self.console.is_terminal:
            self.bar = new_bar(self.console)
            self.bar.add_task("train", total=self.steps, completed=trainer.global_step, text="")
            self.bar.start()

    def on_train_batch_end(self, trainer: lightning.Trainer, module: Any, *_: Any) -> None:
        # Reading the loss waits for the device: not at every step.
        due = time.monotonic() - self.shown[1] > REFRESH_SECONDS
        step = trainer.global_step
        if self.bar is not None and (due or step == self.steps):
            line = self._line(trainer, self._speed(trainer))
            total = self._steps_in_all(step, module)
            self.bar.update(self.bar.task_ids[0], completed=step, total=total, text=line)

    def on_validation_end(self, trainer: lightning.Trainer, module: Any) -> None:
        if self.bar is None and trainer.is_global_zero:
            speed = self._speed(trainer)
            step = trainer.global_step
            total = self._steps_in_all(step, module)
            remaining = timedelta(seconds=round((total - step) / speed if speed else 0.0))
            # soft_wrap: a log file has no width
            self.console.print(
                f"{step}/{total}  {self._line(trainer, speed)}  {remaining} left",
                soft_wrap=True,
                highlight=False,
            )

    def on_train_end(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        self._stop()

    def on_exception(self, trainer: lightning.Trainer, *_: Any) -> None:
        self._stop()

    def _stop(self) -> None:
        if self.bar is not None:
            self.bar.stop()
            self.bar = None

    def _steps_in_all(self, step: int, module: Any) -> int:
        """The steps there will be, as the part of steps or time that is used up tells."""
        part = module.learning_rate.progress(step)
        return max(step, round(step / part)) if step and part else self.steps

    def _speed(self, trainer: lightning.Trainer) -> float:
        """Steps per second since the last call."""
        step, then = self.shown
        self.shown = (trainer.global_step, time.monotonic())
        return (trainer.global_step - step) / max(1e-9, self.shown[1] - then)

    def _line(self, trainer: lightning.Trainer, speed: float) -> str:
        rate = trainer.optimizers[0].param_groups[0]["lr"]
        figures = shown(trainer.callback_metrics)
        return "  ".join([*figures, f"lr {rate:.2g}", f"{speed:.3g} steps/s"])


def shown(metrics: Mapping[str, Any]) -> list[str]:
    """The values of the log that are displayed, with their units."""
    return [form.format(float(metrics[name])) for name, form in SHOWN.items() if name in metrics]
