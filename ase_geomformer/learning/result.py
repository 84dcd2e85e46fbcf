"""Result of learning."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ase_geomformer.learning.state import RoundRecord
from ase_geomformer.learning.verdict import Verdict
from ase_geomformer.runs.result import RecipeResult, Row


@dataclass(frozen=True, eq=False, kw_only=True)
class LearnResult(RecipeResult):
    """A potential, its errors and the verdict.

    Attributes
    ----------
    converged : bool
        Whether the target is reached.
    reason : str
        The verdict in one line, with what would help.
    verdict : Verdict
    potential : Path
        Folder of the best potential, ready to use.
    errors : dict
        Of structures from the final dynamics, labelled by the teacher: force errors of the
        potential at the temperature of use and at the highest one, ``use_meV_per_A`` and
        ``hot_meV_per_A``.
    train_mae_meV_per_A, validation_mae_meV_per_A : float or None
        Force errors on the labels trained with, and on those held back.
    labels, calls, failed_calls : int
    teacher_s, training_s : float
        Time of the teacher's calls and of training; wall_time is that of the whole run.
    rounds : list of RoundRecord
    notes : list of str
    """

    verdict: Verdict
    potential: Path
    errors: dict[str, Any]
    train_mae_meV_per_A: float | None
    validation_mae_meV_per_A: float | None
    labels: int
    calls: int
    failed_calls: int
    teacher_s: float
    training_s: float
    steps: int
    rounds: list[RoundRecord] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def summary(self) -> dict[str, Any]:
        return {
            **super().summary(),
            "checks": [{**asdict(check), "passed": check.passed} for check in self.verdict.checks],
            "errors": self.errors,
            "train_mae_meV_per_A": self.train_mae_meV_per_A,
            "validation_mae_meV_per_A": self.validation_mae_meV_per_A,
            "labels": self.labels,
            "calls": self.calls,
            "failed_calls": self.failed_calls,
            "teacher_s": self.teacher_s,
            "training_s": self.training_s,
            "training_steps": self.steps,
            "rounds": [asdict(record) for record in self.rounds],
            "notes": self.notes,
        }

    def rows(self) -> list[Row]:
        rows = [
            (check.name, f"{check.value:.3g} (limit {check.limit:.3g})", check.unit)
            for check in self.verdict.checks
        ]
        for name, value in (
            ("force error, trained with", self.train_mae_meV_per_A),
            ("force error, held back", self.validation_mae_meV_per_A),
        ):
            if value is not None:
                rows.append((name, f"{value:.3g}", "meV/Å"))
        rows += [
            ("calls of the teacher", str(self.calls), ""),
            ("time of the teacher", f"{self.teacher_s:.3g}", "s"),
            ("time of training", f"{self.training_s:.3g}", "s"),
        ]
        return rows
