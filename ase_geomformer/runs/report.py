"""What the user sees of a recipe: a progress bar and, at the end, a table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from ase_geomformer.runs.result import RecipeResult


class Advance(Protocol):
    """Tells a progress bar how much is done, with a short text to show beside it."""

    def __call__(self, done: int, text: str = "") -> None: ...


@contextmanager
def progress_bar(description: str, total: int | None, shown: bool) -> Iterator[Advance]:
    """Give the function that moves the bar; it does nothing when the bar is not shown.

    Parameters
    ----------
    description : str
        What is being done.
    total : int or None
        How much there is to do, if that is known.
    shown : bool
    """
    if not shown:

        def ignore(done: int, text: str = "") -> None:
            del done, text

        yield ignore
        return
    bar = Progress(
        TextColumn("[bold]{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[text]}"),
        TimeElapsedColumn(),
    )
    with bar:
        task = bar.add_task(description, total=total, text="")

        def advance(done: int, text: str = "") -> None:
            bar.update(task, completed=done, text=text)

        yield advance


def show(result: RecipeResult, title: str, rows: Sequence[tuple[str, str, str]]) -> None:
    """Print a result: name, value and unit of each number, why it is not converged, and where.

    Parameters
    ----------
    result : RecipeResult
    title : str
    rows : sequence of (str, str, str)
    """
    console = Console()
    table = Table(title=title, show_header=False)
    table.add_column("quantity", style="bold")
    table.add_column("value", justify="right")
    table.add_column("unit")
    for row in rows:
        table.add_row(*row)
    table.add_row("wall time", f"{result.wall_time:.1f}", "s")
    console.print(table)
    if not result.converged:
        console.print(f"[bold red]not converged:[/] {result.reason}", highlight=False)
    if result.output is not None:
        console.print(f"files in {result.output}", highlight=False)
