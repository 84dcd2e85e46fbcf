"""What the user sees of a run: a progress bar and, at the end, a table."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from ase_geomformer.md.result import MDResult
from ase_geomformer.md.settings import MDSettings
from ase_geomformer.md.simulation import Simulation

_SECONDS_BETWEEN_UPDATES = 0.1

# Columns of the log in the table: how they are called there, with their format.
_ROWS = {
    "potential_energy_eV": ("potential energy", "{:.4f}", "eV"),
    "total_energy_eV": ("total energy", "{:.4f}", "eV"),
    "temperature_K": ("temperature", "{:.1f}", "K"),
    "pressure_GPa": ("pressure", "{:.3f}", "GPa"),
    "volume_A3": ("volume", "{:.1f}", "Å³"),
}


@contextmanager
def progress_bar(simulation: Simulation, shown: bool) -> Iterator[Callable[[], None]]:
    """Give the function to call after each step; it does nothing when the bar is not shown."""
    if not shown:
        yield lambda: None
        return
    bar = Progress(
        TextColumn("[bold]{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[temperature]:5.0f} K"),
        TextColumn("{task.fields[speed]:.3g} ns/day"),
        TimeRemainingColumn(),
    )
    settings, first = simulation.settings, simulation.step
    start = last = time.perf_counter()
    with bar:
        task = bar.add_task(
            settings.ensemble, total=settings.steps, completed=first, temperature=0.0, speed=0.0
        )

        def advance() -> None:
            nonlocal last
            now = time.perf_counter()
            if now - last < _SECONDS_BETWEEN_UPDATES and simulation.step < settings.steps:
                return
            last = now
            rate = (simulation.step - first) / (now - start)
            bar.update(
                task,
                completed=simulation.step,
                temperature=simulation.temperature(),
                speed=rate * settings.timestep_fs * 1e-6 * 86400.0,
            )

        yield advance


def show(result: MDResult, settings: MDSettings) -> None:
    """Print the table of a finished run."""
    console = Console()
    console.print(summary_table(result, settings))
    if not result.completed:
        console.print(f"[bold red]not completed:[/] {result.reason}")
    if result.output is not None:
        console.print(f"files in {result.output}", highlight=False)


def summary_table(result: MDResult, settings: MDSettings) -> Table:
    """Averages, drift and speed of a run."""
    composition = result.atoms.get_chemical_formula()
    table = Table(
        title=f"{composition}, {settings.ensemble}, "
        f"{result.steps * settings.timestep_fs / 1000.0:g} ps in steps of "
        f"{settings.timestep_fs:g} fs",
        show_header=False,
    )
    table.add_column("quantity", style="bold")
    table.add_column("value", justify="right")
    table.add_column("unit")
    for name, (label, form, unit) in _ROWS.items():
        if name in result.averages:
            found = result.averages[name]
            table.add_row(label, f"{form.format(found.mean)} ± {form.format(found.std)}", unit)
    if result.drift_meV_per_atom_per_ps is not None:
        table.add_row(
            "drift of conserved energy", f"{result.drift_meV_per_atom_per_ps:+.3g}", "meV/atom/ps"
        )
    table.add_row("speed", f"{result.steps_per_second:.3g}", "steps/s")
    table.add_row("", f"{result.ns_per_day:.3g}", "ns/day")
    table.add_row("wall time", f"{result.wall_time:.1f}", "s")
    return table
