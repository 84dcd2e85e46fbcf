"""Which frames a run keeps for labelling."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class HarvestSettings:
    """Which frames to keep for labelling; needs a committee.

    Attributes
    ----------
    min_forces_spread_eV_per_A : float or None
        Keep frames in which the members' forces on an atom differ by more than this (their
        standard deviation); left out, no frame is kept.
    min_steps : int
        Steps at least from one frame kept to the next, so that they are not all alike.
    max_frames : int or None
        Keep no more than so many.

    Raises
    ------
    ValueError
        If a value is out of range.
    """

    min_forces_spread_eV_per_A: float | None = None
    min_steps: int = 100
    max_frames: int | None = None

    def __post_init__(self) -> None:
        threshold = self.min_forces_spread_eV_per_A
        if threshold is not None and not (math.isfinite(threshold) and threshold >= 0):
            self._refuse("min_forces_spread_eV_per_A", "zero or positive, or null for no harvest")
        for name in ("min_steps", "max_frames"):
            value = getattr(self, name)
            if value is not None and (value != int(value) or value < 1):
                self._refuse(name, "a positive whole number")

    def _refuse(self, name: str, wanted: str) -> None:
        raise ValueError(f"harvest.{name} = {getattr(self, name)!r} must be {wanted}")
