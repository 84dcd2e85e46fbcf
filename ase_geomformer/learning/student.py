"""One student: a potential in training."""

from __future__ import annotations

import torch
from torch import Tensor

from ase_geomformer.potential import Potential
from ase_geomformer.training.batch import LabelledGraph
from ase_geomformer.training.losses import LossSettings
from ase_geomformer.training.objective import Objective
from ase_geomformer.training.optimizers import OPTIMIZERS
from ase_geomformer.training.settings import OptimizerSettings

WARMUP_STEPS = 30
CLIP_NORM = 10.0
# The average of the weights follows them within some hundred steps, as rounds are short.
EMA_DECAY = 0.99


class Student:
    """One member: a potential in training, its optimizer and the average of its weights.

    Parameters
    ----------
    potential : Potential
    learning_rate : float
        Maximum learning rate.
    loss : LossSettings
    scale : float
        Root mean square force of the first labels, eV/Å.
    """

    def __init__(
        self, potential: Potential, learning_rate: float, loss: LossSettings, scale: float
    ) -> None:
        self.potential = potential.float().train()
        self.optimizer_settings = OptimizerSettings(learning_rate=learning_rate)
        self.objective = Objective(self.potential, loss, scale)
        self.average = {n: p.detach().clone() for n, p in self.potential.named_parameters()}
        self.steps = 0
        targets = self.objective.targets.values()
        self._weights = torch.tensor([t.weight for t in targets], dtype=torch.float64)
        self.restart()

    def restart(self) -> None:
        """Begin with a new optimizer, whose learning rate rises from zero."""
        self.optimizer = OPTIMIZERS["muon"](self.potential, self.optimizer_settings)
        self._warm = 0

    def step(self, batch: LabelledGraph, factor: float) -> None:
        """One optimizer step, with a learning rate of ``factor`` times the maximum."""
        self._warm += 1
        warm = min(1.0, self._warm / WARMUP_STEPS)
        for group in self.optimizer.param_groups:
            group["lr"] = warm * factor * self.optimizer_settings.learning_rate
        self.optimizer.zero_grad(set_to_none=True)
        loss = self.objective(batch, self._weights, self.objective.counts(batch)).loss
        if torch.isfinite(loss):  # else the weights are left as they are
            loss.backward()
            torch.nn.utils.clip_grad_norm_(self.potential.parameters(), CLIP_NORM)
            self.optimizer.step()
            self._follow()
        self.steps += 1

    @torch.no_grad()
    def _follow(self) -> None:
        """Move the average towards the weights, the farther the fewer steps there were."""
        decay = min(EMA_DECAY, (1.0 + self.steps) / (10.0 + self.steps))
        present: list[Tensor] = list(self.potential.parameters())
        # Many tensors in one call, as torch's own optimisers have them; there is no public name.
        torch._foreach_lerp_(list(self.average.values()), present, 1.0 - decay)

    def averaged(self) -> Potential:
        """A copy with the averaged weights, for evaluation."""
        found = self.potential.copy(device="cpu")
        with torch.no_grad():
            for name, value in found.named_parameters():
                value.copy_(self.average[name])
        return found.eval()
