"""The Lightning module: training step, validation step, optimizer and schedule."""

from __future__ import annotations

import math
from typing import Any

import lightning
import torch
from torch import Tensor
from torch.optim.lr_scheduler import LambdaLR

from ase_geomformer.potential import Potential
from ase_geomformer.training.batch import LabelledGraph
from ase_geomformer.training.objective import Objective
from ase_geomformer.training.optimizers import OPTIMIZERS
from ase_geomformer.training.schedule import LearningRateFactor
from ase_geomformer.training.settings import OptimizerSettings

# Progress bars and logs show meV and meV/Å; stresses in GPa.
DISPLAY = {
    "energy": ("mae_energy_meV_per_atom", 1e3),
    "forces": ("mae_forces_meV_per_A", 1e3),
    "stress": ("mae_stress_GPa", 160.21766208),
    "charges": ("mae_charges_me", 1e3),
    "dipole": ("mae_dipole_me_A", 1e3),
}
COMPONENTS = {"energy": 1, "forces": 3, "stress": 9, "charges": 1, "dipole": 3}


class TrainingDiverged(RuntimeError):
    """The loss became NaN, infinite, or a thousand times its initial value."""


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
        self.learning_rate = LearningRateFactor(settings, steps)
        self.first_loss: float | None = None
        self._sums: dict[str, Tensor] = {}

    def target_weights(self) -> Tensor:
        """Weight of each target at the current step, shape (T,)."""
        progress = self.learning_rate.progress(self.global_step)
        weights = [target.weight_at(progress) for target in self.objective.targets.values()]
        return torch.tensor(weights, dtype=torch.float64, device=self.device)

    def training_step(self, batch: LabelledGraph, batch_idx: int) -> Tensor:
        local = self.objective.counts(batch)
        # Data-parallel training averages gradients over processes. Dividing by the mean count
        # makes that the gradient of the whole batch, however unevenly it is spread.
        mean = self._over_processes(local) / self.trainer.world_size
        result = self.objective(batch, self.target_weights(), mean)
        self._check(result.loss)
        trainer: Any = self.trainer
        if (self.global_step + 1) % trainer.log_every_n_steps == 0:
            # Lightning keeps no other ones, and takes a millisecond for each.
            self.log("train_loss", result.loss.detach())
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
        loss = (self.target_weights() * losses).sum()
        self.learning_rate.validated(float(loss))
        self.log("val_loss", loss)
        for name, value in self._mean_errors(sums["absolute"], sums["counts"]):
            self.log(f"val_{name}", value)

    def configure_optimizers(self) -> Any:
        settings = self.optimizer_settings
        optimizer = OPTIMIZERS[settings.kind](self.potential, settings)
        schedule = {"scheduler": LambdaLR(optimizer, self.learning_rate), "interval": "step"}
        return {"optimizer": optimizer, "lr_scheduler": schedule}

    def _check(self, loss: Tensor) -> None:
        # The loss of all processes, so that none waits for one that has stopped.
        value = float(self._over_processes(loss.detach())) / self.trainer.world_size
        if self.first_loss is None:
            self.first_loss = value
        # Errors are in units of the data's forces: a loss below one is small, however it grew.
        if not math.isfinite(value) or value > self.EXPLODED * max(self.first_loss, 1.0):
            raise TrainingDiverged(
                f"the loss is {value:g} at step {self.global_step} and was {self.first_loss:g} at "
                "the start; lower the learning rate or check the labels of the saved batch"
            )

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["first_loss"] = self.first_loss

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self.first_loss = checkpoint["first_loss"]

    def _mean_errors(self, absolute: Tensor, counts: Tensor) -> list[tuple[str, Tensor]]:
        """Mean absolute errors in display units, of the targets that have labels."""
        rows = zip(self.objective.targets, absolute, counts, strict=True)
        return [
            (DISPLAY[target][0], total / (count * COMPONENTS[target]) * DISPLAY[target][1])
            for target, total, count in rows
            if count > 0
        ]

    def _over_processes(self, values: Tensor) -> Tensor:
        return self.trainer.strategy.reduce(values.clone(), reduce_op="sum")
