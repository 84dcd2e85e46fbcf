"""What the user sees of a set of replicas."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from ase_geomformer.md.replicas.result import ReplicasResult
from ase_geomformer.md.settings import MDSettings


@contextmanager
def progress_bar(
    settings: MDSettings, number: int, first: int, shown: bool
) -> Iterator[Callable[[int], None]]:
    """Give the function to call with the number of steps made."""
    if not shown:
        yield lambda _: None
        return
    bar = Progress(
        TextColumn("[bold]{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[speed]:.3g} ns/day in all"),
        TimeRemainingColumn(),
    )
    start = time.perf_counter()
    with bar:
        task = bar.add_task(
            f"{number} × {settings.ensemble}", total=settings.steps, completed=first, speed=0.0
        )

        def show(step: int) -> None:
            rate = number * (step - first) / (time.perf_counter() - start)
            bar.update(task, completed=step, speed=rate * settings.timestep_fs * 1e-6 * 86400.0)

        yield show


def show(result: ReplicasResult, settings: MDSettings) -> None:
    """Print the table of a finished set."""
    console = Console()
    console.print(summary_table(result, settings))
    console.print(f"{result.ns_per_day:.3g} ns/day in all", highlight=False)
    if not result.completed:
        console.print(f"[bold red]not completed:[/] {result.reason}")
    if result.output is not None:
        console.print(f"files in {result.output}", highlight=False)


def summary_table(result: ReplicasResult, settings: MDSettings) -> Table:
    """One row for each replica or, with exchanges, for each temperature."""
    exchanges = bool(result.acceptance)
    table = Table(
        "temperature" if exchanges else "replica", "target (K)", "mean (K)",
        "potential energy (eV)", "accepted" if exchanges else "steps",
    )  # fmt: skip
    for index, kelvin in enumerate(result.temperatures_K):
        log = result.replicas[index].log
        if exchanges:
            log = result.at_temperature(kelvin)
        kept = [step >= settings.equilibration_steps for step in log.get("step", ())]
        means = [
            f"{log[name][kept].mean():{form}}" if any(kept) else ""
            for name, form in (("temperature_K", ".1f"), ("potential_energy_eV", ".4f"))
        ]
        last = str(result.replicas[index].steps)
        if exchanges:
            share = result.acceptance[index] if index < len(result.acceptance) else None
            last = "" if share is None else f"{share:.0%}"
        table.add_row(str(index), f"{kelvin:g}", *means, last)
    return table
