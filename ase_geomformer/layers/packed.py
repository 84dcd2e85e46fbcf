"""Frozen weights brought into another form once, and again after they have changed."""

from __future__ import annotations

from collections.abc import Iterable

from torch import Tensor


class Packed:
    """Base class of what is made of weights.

    Parameters
    ----------
    origin : iterable of Tensor
        The weights.
    """

    def __init__(self, origin: Iterable[Tensor]) -> None:
        self.origin = list(origin)
        self._versions = self._now()

    def is_current(self, first: Tensor) -> bool:
        """Whether no weight has changed since, of which ``first`` is the first."""
        return first is self.origin[0] and self._now() == self._versions

    def _now(self) -> list[int]:
        return [weight._version for weight in self.origin]
