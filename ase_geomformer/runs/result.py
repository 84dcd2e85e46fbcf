"""Results of runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ase import Atoms

from ase_geomformer.machine.notebook import table_html

# A line of the table that a user sees: name, value and unit.
Row = tuple[str, str, str]


@dataclass(frozen=True)
class Listing:
    """A table of many alike: headings, rows of as many cells, and what to say below."""

    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""


@dataclass(frozen=True, eq=False)
class Entry:
    """A structure of a result, with its name and numbers, as a database keeps it."""

    name: str
    atoms: Atoms
    numbers: dict[str, Any]


@dataclass(frozen=True, eq=False, kw_only=True)
class RunResult:
    """Result of a run.

    Attributes
    ----------
    reason : str
        Why the run ended, or what is wrong with the result.
    wall_time : float
        Seconds it took.
    output : Path or None
        Folder of the files.
    """

    reason: str
    wall_time: float
    output: Path | None = None

    def __init_subclass__(cls, **keywords: Any) -> None:
        super().__init_subclass__(**keywords)
        # Dataclasses would list every array and structure instead.
        cls.__repr__ = RunResult.__repr__  # type: ignore[method-assign]

    def __repr__(self) -> str:
        """The table of the run's end, in one line."""
        rows = (f"{name} {value} {unit}".rstrip() for name, value, unit in self.rows())
        return f"<{type(self).__name__}: {'; '.join([self.problem or self.reason, *rows])}>"

    @property
    def problem(self) -> str:
        """What is wrong, in one line; empty if nothing is."""
        return ""

    def summary(self) -> dict[str, Any]:
        """The numbers of the result by name, with units in the names."""
        return {"reason": self.reason, "wall_time_s": self.wall_time}

    def rows(self) -> Sequence[Row]:
        """Lines of the table at the end of a run: name, value and unit."""
        return ()

    def _repr_html_(self) -> str:
        """The table, as Jupyter shows it."""
        rows = [*self.rows(), ("wall time", f"{self.wall_time:.1f}", "s")]
        return table_html(self.problem or self.reason, rows)

    def entries(self) -> list[Entry]:
        """The structures of the result for a database: the last one, unless a result has more."""
        atoms = getattr(self, "atoms", None)
        return [Entry("", atoms, self.summary())] if isinstance(atoms, Atoms) else []

    def listing(self) -> Listing | None:
        """A further table, shown before that of the rows; None for none."""
        return None


@dataclass(frozen=True, eq=False, kw_only=True)
class RecipeResult(RunResult):
    """Result of a recipe.

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

    @property
    def problem(self) -> str:
        return "" if self.converged else f"not converged: {self.reason}"

    def summary(self) -> dict[str, Any]:
        return {"converged": self.converged, **super().summary()}


@dataclass(frozen=True, eq=False, kw_only=True)
class DynamicsResult(RunResult):
    """Result of a run of molecular dynamics.

    Attributes
    ----------
    completed : bool
        Whether all steps were made.
    reason : str
        Why the run ended.
    wall_time : float
        Seconds it took, in earlier processes too.
    output : Path or None
        Folder of the files.
    """

    completed: bool

    @property
    def problem(self) -> str:
        return "" if self.completed else f"not completed: {self.reason}"

    def summary(self) -> dict[str, Any]:
        return {"completed": self.completed, **super().summary()}
