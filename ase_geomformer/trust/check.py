"""Checks and their findings."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from ase_geomformer.trust.system_under_test import SystemUnderTest


class NotApplicableError(Exception):
    """A check does not apply to this structure or calculator; the message says why."""


@dataclass(frozen=True)
class Figure:
    """A value and its limit."""

    quantity: str
    value: float
    unit: str
    limit: float

    @property
    def passed(self) -> bool:
        return math.isfinite(self.value) and abs(self.value) <= self.limit


@dataclass(frozen=True)
class Finding:
    """Result of a check.

    Attributes
    ----------
    check : str
        Its name.
    meaning : str
        What it asks, in one line.
    status : str
        ``passed``, ``failed`` or ``skipped``.
    figures : tuple of Figure
    note : str
        Why it was skipped, or the error that stopped it.
    """

    check: str
    meaning: str
    status: str
    figures: tuple[Figure, ...] = ()
    note: str = ""


@dataclass(frozen=True)
class Check:
    """A named test of a system (a calculator on a structure)."""

    name: str
    meaning: str
    test: Callable[[SystemUnderTest], Iterable[Figure]]

    def __call__(self, system: SystemUnderTest) -> Finding:
        """Test, and turn an error into a failure, so that the other checks still run."""
        try:
            figures = tuple(self.test(system))
        except NotApplicableError as reason:
            return Finding(self.name, self.meaning, "skipped", note=str(reason))
        except Exception as error:  # calculators of other packages have errors of their own
            note = f"{type(error).__name__}: {error}"
            return Finding(self.name, self.meaning, "failed", note=note)
        passed = all(figure.passed for figure in figures)
        return Finding(self.name, self.meaning, "passed" if passed else "failed", figures)


def check(name: str) -> Callable[[Callable[[SystemUnderTest], Iterable[Figure]]], Check]:
    """Decorator that makes a function of a system a check, described by its docstring."""

    def made(test: Callable[[SystemUnderTest], Iterable[Figure]]) -> Check:
        return Check(name, (test.__doc__ or "").partition("\n")[0].rstrip("."), test)

    return made
