"""Learning-rate schedules and the moving average of the weights."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ase_geomformer.training.settings import OptimizerSettings

DECAYS: dict[str, Callable[[float, float], float]] = {
    "cosine": lambda t, floor: floor + (1.0 - floor) * 0.5 * (1.0 + math.cos(math.pi * t)),
    "exponential": lambda t, floor: floor**t,
    "constant": lambda t, floor: 1.0,
    "plateau": lambda t, floor: 1.0,
}


# The most of the steps, and of the time where that is limited, that the learning rate rises.
WARMUP_SHARE = 0.1


class LearningRateFactor:
    """Learning rate at a step relative to the maximum: warm-up, then the chosen decay.

    For ``torch.optim.lr_scheduler.LambdaLR``, which keeps the attributes in its state.

    Parameters
    ----------
    settings : OptimizerSettings
    steps : int
        Optimiser steps in all.

    Attributes
    ----------
    time_used : float
        Part of the time of the training that is used up; zero where it is not limited.
    """

    def __init__(self, settings: OptimizerSettings, steps: int) -> None:
        self.kind, self.steps = settings.schedule, steps
        self.warmup_steps = min(settings.warmup_steps, int(WARMUP_SHARE * steps))
        self.time_used = 0.0
        self.floor = settings.final_learning_rate / settings.learning_rate
        self.plateau_factor, self.plateau_patience = (
            settings.plateau_factor,
            settings.plateau_patience,
        )
        self.reduced = 1.0
        self.lowest = math.inf
        self.waited = 0

    def __call__(self, step: int) -> float:
        warm = max((step + 1) / max(1, self.warmup_steps), self.time_used / WARMUP_SHARE)
        decay = DECAYS[self.kind](self.progress(step), self.floor)
        return min(1.0, warm) * self.reduced * decay

    def progress(self, step: int) -> float:
        """Part of the training that is done: of its steps, or of its time if that is more."""
        return min(1.0, max(step / self.steps, self.time_used))

    def validated(self, loss: float) -> None:
        """Record a validation loss; ``plateau`` lowers the learning rate when it stalls."""
        if loss < self.lowest:
            self.lowest, self.waited = loss, 0
            return
        self.waited += 1
        if self.kind == "plateau" and self.waited > self.plateau_patience:
            self.reduced = max(self.floor, self.reduced / self.plateau_factor)
            self.waited = 0


def warm_average(decay: float) -> Callable[[list[Tensor], list[Tensor], Any], None]:
    """Exponential moving averages whose window grows to ``1 / (1 - decay)`` steps.

    They are moved in place, many in one call, by what they are averages of.
    """

    def average(means: list[Tensor], current: list[Tensor], count: Any) -> None:
        present = min(decay, (1.0 + float(count)) / (10.0 + float(count)))
        torch._foreach_lerp_(means, current, 1.0 - present)

    return average
