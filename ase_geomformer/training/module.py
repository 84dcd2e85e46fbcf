"""The Lightning module: one training step, one validation step, optimiser and schedule."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import lightning
import torch
from torch import Tensor

from ase_geomformer.potential import Potential
from ase_geomformer.training.batch import LabelledGraph
from ase_geomformer.training.muon import Muon, hidden_matrices
from ase_geomformer.training.objective import Objective
from ase_geomformer.training.settings import OptimizerSettings

# Progress bars and logs show meV and meV/Å; stresses in GPa.
DISPLAY = {
    "energy": ("mae_energy_meV_per_atom", 1e3),
    "forces": ("mae_forces_meV_per_A", 1e3),
    "stress": ("mae_stress_GPa", 160.21766208),
}
COMPONENTS = {"energy": 1, "forces": 3, "stress": 9}


class TrainingDiverged(RuntimeError):
    """The loss became NaN, infinite, or a thousand times what it was at first."""

    def __init__(self, message: str, batch: LabelledGraph) -> None:
        super().__init__(message)
        self.batch = batch


class TrainingModule(lightning.LightningModule):
    """A potential in training.

    Parameters
    ----------
    potential : Potential
    objective : Objective
        Of the same potential; compiled or not.
    validation_objective : Objective
        Not compiled: validation batches come in their own sizes.
    settings : OptimizerSettings
    steps : int
        Optimiser steps in all, which the schedules are stretched over.
    """

    EXPLODED = 1e3

    def __init__(
        self,
        potential: Potential,
        objective: Objective,
        validation_objective: Objective,
        settings: OptimizerSettings,
        steps: int,
    ) -> None:
        super().__init__()
        self.potential = potential
        self.objective = objective
        self.validation_objective = validation_objective
        self.optimizer_settings = settings
        self.steps = steps
        self.first_loss: float | None = None
        self._sums: dict[str, Tensor] = {}

    def target_weights(self) -> Tensor:
        """Weight of each target at the present step, shape (T,)."""
        progress = min(1.0, self.global_step / self.steps)
        weights = [target.weight_at(progress) for target in self.objective.targets.values()]
        return torch.tensor(weights, dtype=torch.float64, device=self.device)

    def training_step(self, batch: LabelledGraph, batch_idx: int) -> Tensor:
        local = self.objective.counts(batch)
        # Data-parallel training averages gradients over processes. Dividing by the mean count
        # makes that the gradient of the whole batch, however unevenly it is spread.
        mean = self._over_processes(local) / self.trainer.world_size
        result = self.objective(batch, self.target_weights(), mean)
        self._check(result.loss, batch)
        self.log("train_loss", result.loss.detach(), prog_bar=True)
        for name, value in self._mean_errors(result.absolute, local):
            self.log(f"train_{name}", value)
        return result.loss

    def on_validation_epoch_start(self) -> None:
        zeros = torch.zeros(len(self.objective.targets), dtype=torch.float64, device=self.device)
        self._sums = {name: zeros.clone() for name in ("losses", "absolute", "counts")}

    def validation_step(self, batch: LabelledGraph, batch_idx: int) -> None:
        counts = self.validation_objective.counts(batch)
        result = self.validation_objective(batch, self.target_weights(), counts)
        self._sums["losses"] += result.by_target.detach() * counts
        self._sums["absolute"] += result.absolute
        self._sums["counts"] += counts

    def on_validation_epoch_end(self) -> None:
        sums = {name: self._over_processes(value) for name, value in self._sums.items()}
        losses = sums["losses"] / sums["counts"].clamp(min=1.0)
        self.log("val_loss", (self.target_weights() * losses).sum(), prog_bar=True)
        for name, value in self._mean_errors(sums["absolute"], sums["counts"]):
            self.log(f"val_{name}", value, prog_bar=True)

    def configure_optimizers(self) -> Any:
        settings = self.optimizer_settings
        optimizer = OPTIMIZERS[settings.kind](self.potential, settings)
        if settings.schedule == "plateau":
            plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(
                optimizer,
                factor=1.0 / settings.plateau_factor,
                patience=settings.plateau_patience,
                min_lr=settings.final_learning_rate,
            )
            config = {"scheduler": plateau, "monitor": "val_loss", "interval": "step"}
            return {"optimizer": optimizer, "lr_scheduler": config}
        schedule = torch.optim.lr_scheduler.LambdaLR(
            optimizer, learning_rate_factor(settings, self.steps)
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def _check(self, loss: Tensor, batch: LabelledGraph) -> None:
        value = float(loss.detach())
        if self.first_loss is None:
            self.first_loss = value
        if not math.isfinite(value) or value > self.EXPLODED * self.first_loss:
            raise TrainingDiverged(
                f"the loss is {value:g} at step {self.global_step}, it was {self.first_loss:g} at "
                "first; lower the learning rate or look at the labels of the saved batch",
                batch,
            )

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["first_loss"] = self.first_loss

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self.first_loss = checkpoint["first_loss"]

    def _mean_errors(self, absolute: Tensor, counts: Tensor) -> list[tuple[str, Tensor]]:
        """Mean absolute errors in display units, of the targets that have labels at all."""
        rows = zip(self.objective.targets, absolute, counts, strict=True)
        return [
            (DISPLAY[target][0], total / (count * COMPONENTS[target]) * DISPLAY[target][1])
            for target, total, count in rows
            if count > 0
        ]

    def _over_processes(self, values: Tensor) -> Tensor:
        return self.trainer.strategy.reduce(values.clone(), reduce_op="sum")


def muon(potential: Potential, settings: OptimizerSettings) -> torch.optim.Optimizer:
    matrices, others = _by_role(potential)
    return Muon(matrices, others, lr=settings.learning_rate, weight_decay=settings.weight_decay)


def adamw(potential: Potential, settings: OptimizerSettings) -> torch.optim.Optimizer:
    matrices, others = _by_role(potential)
    groups = [
        {"params": matrices, "weight_decay": settings.weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(
        groups, lr=settings.learning_rate, amsgrad=settings.amsgrad, foreach=True
    )


OPTIMIZERS: dict[str, Callable[[Potential, OptimizerSettings], torch.optim.Optimizer]] = {
    "muon": muon,
    "adamw": adamw,
}


def _by_role(potential: Potential) -> tuple[list[Tensor], list[Tensor]]:
    """Hidden matrices, which may decay, and all other trainable parameters."""
    matrices = hidden_matrices(potential)
    inside = {id(parameter) for parameter in matrices}
    trainable = (p for p in potential.parameters() if p.requires_grad)
    return matrices, [p for p in trainable if id(p) not in inside]


def learning_rate_factor(settings: OptimizerSettings, steps: int) -> Callable[[int], float]:
    """Learning rate at a step as a part of the highest: warm-up, then the chosen decay."""
    floor = settings.final_learning_rate / settings.learning_rate
    decays: dict[str, Callable[[float], float]] = {
        "cosine": lambda t: floor + (1.0 - floor) * 0.5 * (1.0 + math.cos(math.pi * t)),
        "exponential": lambda t: floor**t,
        "constant": lambda t: 1.0,
    }
    decay = decays[settings.schedule]

    def factor(step: int) -> float:
        warm = min(1.0, (step + 1) / max(1, settings.warmup_steps))
        return warm * decay(min(1.0, step / steps))

    return factor


def warm_average(decay: float) -> Callable[[Tensor, Tensor, Any], Tensor]:
    """Running average whose memory grows to ``1 / (1 - decay)`` steps, for early steps to fade."""

    def average(mean: Tensor, current: Tensor, count: Any) -> Tensor:
        present = min(decay, (1.0 + float(count)) / (10.0 + float(count)))
        return torch.lerp(current, mean, present)

    return average
