"""What the user sees of a run: progress bars, a table at the end, and what went wrong."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol, TypeVar

from ase_geomformer.machine.text import printable
from ase_geomformer.runs.result import Listing, RunResult

if TYPE_CHECKING:
    from ase_geomformer.machine.display import Console, Progress, Table

_T = TypeVar("_T")
_SECONDS_BETWEEN_UPDATES = 0.1


class Advance(Protocol):
    """Tells a progress bar how much is done, with a short text to show beside it.

    The text may be a function, which is called only when the bar is drawn.
    """

    def __call__(self, done: int, text: str | Callable[[], str] = "") -> None: ...


def new_bar(console: Console | None = None) -> Progress:
    """A bar of rich: description, bar, count, a text, and the time left or, at the end, taken."""
    from ase_geomformer.machine.display import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    time_left = TimeRemainingColumn(compact=True, elapsed_when_finished=True)
    # Where no step was made, rich would show a text of half a second ago at the end.
    time_left.max_refresh = 0.0
    return Progress(
        TextColumn("[bold]{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[text]}"),
        time_left,
        console=console,
    )


@contextmanager
def progress_bar(
    description: str, total: int | None, shown: bool, *, done: int = 0
) -> Iterator[Advance]:
    """Give the function that moves the bar; it does nothing when the bar is not shown.

    Parameters
    ----------
    description : str
        What is being done.
    total : int or None
        How much there is to do, if that is known.
    shown : bool
    done : int
        How much of it an earlier process has done.
    """
    if not shown:
        yield lambda done, text="": None
        return
    with new_bar() as bar:
        task = bar.add_task(description, total=total, completed=done, text="")
        last = 0.0
        waiting: tuple[int, str | Callable[[], str]] | None = None

        def draw(made: int, text: str | Callable[[], str]) -> None:
            bar.update(task, completed=made, text=text() if callable(text) else text)

        def advance(done: int, text: str | Callable[[], str] = "") -> None:
            nonlocal last, waiting
            now = time.perf_counter()
            waiting = done, text
            if now - last >= _SECONDS_BETWEEN_UPDATES:
                last, waiting = now, None
                draw(done, text)

        try:
            yield advance
        finally:
            if waiting is not None:
                draw(*waiting)
            # What ends before its last step, such as a relaxation, has no time left either.
            (own,) = bar.tasks
            own.finished_time = own.elapsed


def tracked(items: Sequence[_T], description: str, shown: bool) -> Iterator[_T]:
    """Go through items with a progress bar."""
    with progress_bar(description, len(items), shown) as advance:
        for number, item in enumerate(items, start=1):
            yield item
            advance(number)


def show(result: RunResult, title: str = "", table: Table | None = None) -> None:
    """Print a result: its table, where its files are and, on stderr, what is wrong with it.

    Parameters
    ----------
    result : RunResult
    title : str
        Of the table of the result's rows.
    table : Table, optional
        What to print in its place.
    """
    from ase_geomformer.machine.display import Console

    console = Console()
    listing = result.listing()
    if listing is not None and listing.rows:
        console.print(_listed(listing))
    console.print(_table(result, title) if table is None else table)
    if result.output is not None:
        console.print(f"files in {printable(str(result.output))}", highlight=False, markup=False)
    complain(result.problem)


def complain(problem: str) -> None:
    """Print what went wrong on stderr; nothing if nothing did."""
    from ase_geomformer.machine.display import Console

    if problem:
        console = Console(stderr=True)
        console.print(
            printable(problem), style="bold red", highlight=False, markup=False, soft_wrap=True
        )


def _table(result: RunResult, title: str) -> Table:
    from ase_geomformer.machine.display import Table, Text

    table = Table(title=title, show_header=False)
    table.add_column("quantity", style="bold")
    table.add_column("value", justify="right")
    table.add_column("unit")
    for row in result.rows():  # names of files and the like are text, not markup
        table.add_row(*(Text(printable(cell)) for cell in row))
    table.add_row("wall time", f"{result.wall_time:.1f}", "s")
    return table


def _listed(listing: Listing) -> Table:
    from ase_geomformer.machine.display import Table, Text

    table = Table(caption=listing.note or None)
    for heading in listing.headings:
        table.add_column(heading, justify="right")
    for row in listing.rows:
        table.add_row(*(Text(printable(cell)) for cell in row))
    return table
