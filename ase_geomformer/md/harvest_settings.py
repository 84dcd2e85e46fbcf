"""Which frames a run keeps for labelling."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ase_geomformer.settings.checks import check_settings
from ase_geomformer.settings.ranges import ranged


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

    GROUP: ClassVar[str] = "harvest."

    min_forces_spread_eV_per_A: float | None = ranged(None, 0, 1e9, "eV/Å")
    min_steps: int = ranged(100, 1, 10**12)
    max_frames: int | None = ranged(None, 1, 10**9)

    def __post_init__(self) -> None:
        check_settings(self)
