"""Constants made of frozen weights, which written gradients are evaluated with."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

import torch
from torch import Tensor, nn

from ase_geomformer.graph.segments import Segments
from ase_geomformer.layers.written_gradient import is_by_formula


class FrozenWeights:
    """What is made of weights, joined so that few operations do; valid until one of them changes.

    Parameters
    ----------
    origin : iterable of Tensor
        The weights; the first tells whether they were replaced.
    """

    def __init__(self, origin: Iterable[Tensor]) -> None:
        self.origin = list(origin)
        self._versions = self._now()

    def is_current(self, first: Tensor) -> bool:
        """Whether no weight has changed since; ``first`` is the first of them as it is now."""
        return first is self.origin[0] and self._now() == self._versions

    def _now(self) -> list[int]:
        return [weight._version for weight in self.origin]


Packed = TypeVar("Packed", bound=FrozenWeights)


class FrozenModule(nn.Module, ABC, Generic[Packed]):
    """A module that keeps what is made of its frozen weights."""

    def __init__(self) -> None:
        super().__init__()
        self._kept: Packed | None = None

    @property
    @abstractmethod
    def first_weight(self) -> Tensor:
        """The first of the weights that :meth:`pack` reads."""

    @abstractmethod
    def pack(self, *others: nn.Module) -> Packed:
        """Make the constants of the weights as they are now, and of those of other modules."""

    @property
    def is_frozen(self) -> bool:
        """Whether written gradients may be used: weights are frozen, and nothing is traced."""
        return not self.first_weight.requires_grad and not is_by_formula()

    def packed(self, *others: nn.Module) -> Packed:
        """The constants, made anew only after a change."""
        if self._kept is None or not self._kept.is_current(self.first_weight):
            with torch.no_grad():
                self._kept = self.pack(*others)
        return self._kept

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> FrozenModule[Packed]:
        self._kept = None  # Another device or dtype.
        super()._apply(fn, recurse)
        return self


def in_one_place(*segments: Segments) -> bool:
    """Whether there are rows, and none of them in other processes."""
    return all(own.index.shape[0] > 0 and not own.is_divided for own in segments)
