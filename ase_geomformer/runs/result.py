"""What every run gives back."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    pass


@dataclass(frozen=True, eq=False, kw_only=True)
class RecipeResult:
    """What every recipe gives back.

    Attributes
    ----------
    converged : bool
        Whether the recipe reached its goal.
    reason : str
        Why it ended, or what is wrong with the result.
    wall_time : float
        Seconds it took.
    output : Path or None
        Folder of the files.
    """

    converged: bool
    reason: str
    wall_time: float
    output: Path | None = None

    def summary(self) -> dict[str, Any]:
        """The numbers of the result by name, with units in the names."""
        return {
            "converged": self.converged,
            "reason": self.reason,
            "wall_time_s": self.wall_time,
        }
