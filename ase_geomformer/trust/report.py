"""Results of a self-test, as a table and as plain values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ase_geomformer.machine.notebook import table_html
from ase_geomformer.trust.check import Finding

if TYPE_CHECKING:
    from ase_geomformer.machine.display import Table

MARKS = {"passed": "[green]pass[/]", "failed": "[red]FAIL[/]", "skipped": "[dim]skip[/]"}


@dataclass(frozen=True, eq=False)
class SelfTest:
    """Result of a self-test.

    Attributes
    ----------
    formula : str
        Of the structure.
    precision : str
        The dtype that the limits are for.
    findings : tuple of Finding
        One for each check, in order.
    wall_time : float
        Seconds it took.
    """

    formula: str
    precision: str
    findings: tuple[Finding, ...]
    wall_time: float

    @property
    def passed(self) -> bool:
        """Whether no check failed."""
        return not self.failed

    @property
    def failed(self) -> tuple[Finding, ...]:
        """The checks that failed."""
        return tuple(finding for finding in self.findings if finding.status == "failed")

    @property
    def problem(self) -> str:
        """What is wrong, in one line; empty if nothing is."""
        if self.passed:
            return ""
        names = ", ".join(finding.check for finding in self.failed)
        return f"not passed: {len(self.failed)} of {len(self.findings)} checks failed: {names}"

    def _repr_html_(self) -> str:
        """The checks as a table, as Jupyter shows them."""
        rows = [
            (
                finding.check,
                finding.status,
                "; ".join(f"{one.quantity} {one.value:.2g} {one.unit}" for one in finding.figures)
                or finding.note,
            )
            for finding in self.findings
        ]
        title = self.problem or f"{self.formula}: all checks passed"
        return table_html(title, rows, head=("check", "status", "largest deviation"))

    def to_dict(self) -> dict[str, Any]:
        """All results as plain values."""
        return {
            "passed": self.passed,
            "formula": self.formula,
            "precision": self.precision,
            "wall_time_s": self.wall_time,
            "checks": [
                {
                    "check": finding.check,
                    "meaning": finding.meaning,
                    "status": finding.status,
                    "note": finding.note,
                    "figures": [vars(figure) for figure in finding.figures],
                }
                for finding in self.findings
            ],
        }

    def table(self) -> Table:
        """The results as a table for the terminal."""
        from ase_geomformer.machine.display import Table

        table = Table(title=f"self-test: {self.formula}, limits of {self.precision}")
        for heading in ("check", "", "figure", "value", "limit", "unit"):
            table.add_column(heading, justify="right" if heading in ("value", "limit") else "left")
        for finding in self.findings:
            mark = MARKS[finding.status]
            if not finding.figures:
                table.add_row(finding.check, mark, finding.note or finding.meaning)
            for number, figure in enumerate(finding.figures):
                first = (finding.check, mark) if number == 0 else ("", "")
                value = f"{figure.value:.2g}"
                if not figure.passed:
                    value = f"[red]{value}[/]"
                table.add_row(*first, figure.quantity, value, f"{figure.limit:.2g}", figure.unit)
        return table
