"""Frames that a run saves for labelling."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ase_geomformer.settings.checks import check_settings
from ase_geomformer.settings.ranges import ranged
from ase_geomformer.settings.shown import Shown


@dataclass(frozen=True)
class HarvestSettings(Shown):
    """Frames to save for labelling; needs a committee, or statistics of the training data.

    Attributes
    ----------
    min_forces_spread_eV_per_A : float or None
        Save frames in which the standard deviation of the committee's forces on an atom is larger;
        no frames are saved by default.
    min_extrapolation : float or None
        Save frames in which an atom's extrapolation grade is larger, for a single potential; 1 is
        the limit of what its training data tell.
    min_steps : int
        Minimum number of steps between saved frames.
    max_frames : int or None
        Maximum number of saved frames.

    Raises
    ------
    ValueError
        If a value is out of range.
    """

    GROUP: ClassVar[str] = "harvest."

    min_forces_spread_eV_per_A: float | None = ranged(None, 0, 1e9, "eV/Å")
    min_extrapolation: float | None = ranged(None, 0, 1e9)
    min_steps: int = ranged(100, 1, 10**12)
    max_frames: int | None = ranged(None, 1, 10**9)

    def __post_init__(self) -> None:
        check_settings(self)
