"""Settings of labelling."""

from __future__ import annotations

from dataclasses import dataclass

from ase_geomformer.settings.checks import check_settings
from ase_geomformer.settings.ranges import ranged
from ase_geomformer.settings.shown import Shown


@dataclass(frozen=True)
class LabelSettings(Shown):
    """How the teacher is asked.

    Attributes
    ----------
    workers : int
        Number of processes that label at the same time.
    timeout_s : float or None
        Time after which a call of the teacher counts as failed; no limit by default.

    Raises
    ------
    ValueError
        If a value is out of range.
    """

    workers: int = ranged(1, 1, 1000)
    timeout_s: float | None = ranged(None, 0, 1e9, "s", above=True)

    def __post_init__(self) -> None:
        check_settings(self)
