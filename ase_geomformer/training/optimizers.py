"""Optimizers of a training by name."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ase_geomformer.potential import Potential
from ase_geomformer.training.muon import Muon, hidden_matrices
from ase_geomformer.training.settings import OptimizerSettings


def muon(potential: Potential, settings: OptimizerSettings) -> torch.optim.Optimizer:
    """Muon for the hidden matrices, AdamW for the rest."""
    matrices, others = _by_role(potential)
    return Muon(matrices, others, lr=settings.learning_rate, weight_decay=settings.weight_decay)


def adamw(potential: Potential, settings: OptimizerSettings) -> torch.optim.Optimizer:
    """AdamW for everything, weight decay on the hidden matrices."""
    matrices, others = _by_role(potential)
    groups = [
        {"params": matrices, "weight_decay": settings.weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(
        groups, lr=settings.learning_rate, amsgrad=settings.amsgrad, fused=True
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
