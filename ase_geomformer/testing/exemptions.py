"""Checks that an architecture fails by design."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Exemption:
    """A check that an architecture fails by its published design, and the reason as measured.

    The check still runs, and must fail: an exemption that is no longer needed is an error.

    Attributes
    ----------
    check
        Name of the check without ``test_``.
    reason
        What breaks the promise, and by how much.
    arguments
        Parameters of the check for which it fails; for all when left out.
    rounding
        Whether rounding decides, so that the check fails on one processor and passes on another.
        Only then may it pass.
    """

    check: str
    reason: str
    arguments: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    rounding: bool = False

    def covers(self, check: str, arguments: Mapping[str, Any]) -> bool:
        return check == f"test_{self.check}" and all(
            arguments.get(name) in values for name, values in self.arguments.items()
        )
