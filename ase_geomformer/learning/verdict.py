"""The verdict: is the target reached, and what would help if not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ase_geomformer.learning.acceptance import Acceptance
from ase_geomformer.learning.settings import LearnSettings
from ase_geomformer.learning.state import RoundRecord

MOST_EXCEEDING = 0.01
# Drift of the total energy at constant energy, meV/atom/ps.
MOST_DRIFT = 1.0
# Errors at the highest temperature may be larger than the target by this factor.
HOT_FACTOR = 1.6
# Errors on new structures above so many times those on the training set ask for labels.
MEMORISED = 1.4


@dataclass(frozen=True)
class Check:
    """One condition of the verdict.

    Attributes
    ----------
    name : str
    value, limit : float
        It is met where the value is at most the limit.
    unit : str
    """

    name: str
    value: float
    limit: float
    unit: str = ""

    @property
    def passed(self) -> bool:
        """Whether the condition is met; NaN does not meet it."""
        return self.value <= self.limit


@dataclass(frozen=True)
class Verdict:
    """All conditions, and advice.

    Attributes
    ----------
    checks : tuple of Check
    advice : str
        What would help, where the target is not reached; empty where it is.
    """

    checks: tuple[Check, ...]
    advice: str

    @property
    def reached(self) -> bool:
        """Whether all conditions are met."""
        return all(check.passed for check in self.checks)

    @property
    def text(self) -> str:
        """The verdict in one line."""
        if self.reached:
            return "target reached"
        failed = ", ".join(
            f"{c.name} {c.value:.3g} (limit {c.limit:.3g}{' ' if c.unit else ''}{c.unit})"
            for c in self.checks
            if not c.passed
        )
        return f"target not reached: {failed}. {self.advice}"


def judge(
    found: Acceptance,
    settings: LearnSettings,
    train_mae: float | None,
) -> Verdict:
    """Compare what was found with what was asked for.

    Parameters
    ----------
    found : Acceptance
    settings : LearnSettings
    train_mae : float or None
        Error of the potential on labels that it was trained with, meV/Å.
    """
    target, errors = settings.target_meV_per_A, found.errors
    missing = float("nan")
    checks = (
        Check(
            f"force error at {settings.temperature_K:g} K, larger of two tests",
            errors.get("use_meV_per_A", missing),
            target,
            "meV/Å",
        ),
        Check(
            f"force error at {settings.hot_K:g} K, larger of two tests",
            errors.get("hot_meV_per_A", missing),
            HOT_FACTOR * target,
            "meV/Å",
        ),
        Check("share of unforeseen errors", errors.get("exceedance", missing), MOST_EXCEEDING),
        Check(
            f"energy drift over {found.nve_ps:.3g} ps",
            found.drift_meV_per_atom_per_ps,
            MOST_DRIFT,
            "meV/atom/ps",
        ),
        Check("walkers stopped by a guard", found.stopped, 0),
        Check("failed self-test", int(bool(found.selftest)), 0),
    )
    need = need_of(train_mae, errors.get("use_meV_per_A"))
    advice = advice_for(need, train_mae, target, settings.minutes)
    return Verdict(checks, "" if all(check.passed for check in checks) else advice)


def need_of(train_mae: float | None, unseen_mae: float | None) -> str:
    """What the students are short of: "labels" where they know their own much better than others.

    Parameters
    ----------
    train_mae, unseen_mae : float or None
        Force errors on labels trained with, and on random frames of new dynamics.
    """
    if train_mae is None or unseen_mae is None:
        return "labels"
    return "labels" if unseen_mae > MEMORISED * train_mae else "steps"


def rounds_at_target(rounds: Sequence[RoundRecord], target_meV_per_A: float) -> int:
    """How many of the latest rounds, without a gap, had their random structures at the target."""
    count = 0
    for record in reversed(rounds):
        error = record.errors.get("use_meV_per_A")
        if error is None or error > target_meV_per_A:
            break
        count += 1
    return count


def advice_for(need: str, train_mae: float | None, target_meV_per_A: float, minutes: float) -> str:
    """What would help, in one sentence."""
    more = f"resume with twice the time (--resume --minutes {2 * minutes:g})"
    if need == "labels":
        return (
            "The students know their own labels much better than new structures: "
            f"{more}, which also allows more labels."
        )
    if train_mae is not None and train_mae > target_meV_per_A:
        return (
            f"The students are still above the target on their own labels: {more}; if that does "
            "not help, start with a wider architecture (students.settings.num_features) or a "
            "longer cutoff (students.settings.cutoff)."
        )
    return f"The students were still improving: {more}."
