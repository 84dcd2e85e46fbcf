"""Progress and summary of a set of replicas."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ase_geomformer.md.replicas.result import ReplicasResult
from ase_geomformer.md.report import ns_per_day
from ase_geomformer.md.settings import MDSettings
from ase_geomformer.runs.report import progress_bar as bar

if TYPE_CHECKING:
    from ase_geomformer.machine.display import Table


@contextmanager
def progress_bar(
    settings: MDSettings, number: int, first: int, shown: bool
) -> Iterator[Callable[[int], None]]:
    """Give the function to call with the number of steps made; it shows the speed of all."""
    start = time.perf_counter()
    with bar(f"{number} × {settings.ensemble}", settings.steps, shown, done=first) as advance:

        def show(step: int) -> None:
            rate = number * (step - first) / (time.perf_counter() - start)
            advance(step, lambda: f"{ns_per_day(rate, settings):.3g} ns/day in all")

        yield show


def summary_table(result: ReplicasResult, settings: MDSettings) -> Table:
    """One row for each replica or, with exchanges, for each temperature."""
    from ase_geomformer.machine.display import Table

    exchanges = bool(result.acceptance)
    table = Table(
        *([] if exchanges else ["replica"]), "target (K)", "mean (K)",
        "potential energy (eV)", "accepted with next" if exchanges else "steps",
        caption=f"{result.ns_per_day:.3g} ns/day in all",
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
        table.add_row(*([] if exchanges else [str(index)]), f"{kelvin:g}", *means, last)
    return table
