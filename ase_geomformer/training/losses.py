"""Loss functions of energies, forces, stresses, charges and dipoles."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Literal

import torch
from torch import Tensor

from ase_geomformer.settings.checks import check_settings
from ase_geomformer.settings.ranges import ranged
from ase_geomformer.settings.shown import Shown


def squared(error: Tensor) -> Tensor:
    """Square of the length of each row, (n, c) to (n,), divided by the number of components."""
    return error.square().mean(dim=-1)


def absolute(error: Tensor) -> Tensor:
    """Length of each row, (n, c) to (n,): rotation-invariant, unlike a sum over components.

    The root is kept smooth at zero, where the length has no derivative.
    """
    return torch.sqrt(error.square().sum(dim=-1) + 1e-12)


def huber(error: Tensor) -> Tensor:
    """Huber loss of the length of each row: quadratic up to one, linear beyond."""
    length = absolute(error)
    return torch.where(length < 1.0, 0.5 * length.square(), length - 0.5)


LOSSES: dict[str, Callable[[Tensor], Tensor]] = {"l2": squared, "l1": absolute, "huber": huber}


@dataclass(frozen=True)
class TargetLoss:
    """Loss of one target.

    Attributes
    ----------
    weight
        Weight in the total loss; 0 disables the term.
    final_weight
        Weight at the end of the training, approached linearly from ``start`` on; constant by
        default.
    start
        Fraction of the training after which the weight changes.
    kind
        Loss function: ``l2``, ``l1`` or ``huber``.
    huber_delta
        Error above which the Huber loss is linear, in the unit of the target, scaled like the
        error.
    """

    weight: float = ranged(1.0, 0, 1e9)
    final_weight: float | None = ranged(None, 0, 1e9)
    start: float = ranged(0.5, 0, 1)
    kind: Literal["l2", "l1", "huber"] = "l2"
    huber_delta: float = ranged(0.1, 0, 1e9, above=True)

    def __post_init__(self) -> None:
        check_settings(self)

    @property
    def used(self) -> bool:
        return self.weight > 0 or bool(self.final_weight)

    def weight_at(self, progress: float) -> float:
        """Weight after a fraction ``progress`` of the training."""
        if self.final_weight is None or progress <= self.start:
            return self.weight
        part = (progress - self.start) / (1.0 - self.start)
        return self.weight + part * (self.final_weight - self.weight)

    def of(self, error: Tensor) -> Tensor:
        """Loss of each row of errors, (n, c) to (n,)."""
        if self.kind == "huber":
            return self.huber_delta * huber(error / self.huber_delta)
        return LOSSES[self.kind](error)


@dataclass(frozen=True)
class LossSettings(Shown):
    """Loss function of the training.

    Errors are divided by the root mean square force of the training set, in eV/Å (times 1 Å for
    the energy per atom, 1/Å^2 for the stress), so that weights mean the same for every data set.
    Errors of charges count in e, those of dipoles in e Å.

    Attributes
    ----------
    energy
        Loss of the energy per atom.
    forces
        Loss of the force on each atom.
    stress
        Loss of the stress of each structure.
    charges
        Loss of the atomic partial charges; the architecture must predict charges.
    dipole
        Loss of the dipole moment from the predicted charges, for non-periodic structures.
    """

    energy: TargetLoss = TargetLoss(weight=1.0)
    forces: TargetLoss = TargetLoss(weight=1.0)
    stress: TargetLoss = TargetLoss(weight=0.0)
    charges: TargetLoss = TargetLoss(weight=0.0)
    dipole: TargetLoss = TargetLoss(weight=0.0)

    def __post_init__(self) -> None:
        if not self.targets:
            raise ValueError("all weights of the loss are zero: there is nothing to learn")

    @property
    def targets(self) -> dict[str, TargetLoss]:
        """The targets in use, by name."""
        every = {entry.name: getattr(self, entry.name) for entry in fields(self)}
        return {name: target for name, target in every.items() if target.used}
