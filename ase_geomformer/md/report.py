"""Progress of a run, and the title of its table."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from ase_geomformer.md.result import MDResult
from ase_geomformer.md.settings import MDSettings
from ase_geomformer.md.simulation import Simulation
from ase_geomformer.runs.report import progress_bar as bar


@contextmanager
def progress_bar(simulation: Simulation, shown: bool) -> Iterator[Callable[[], None]]:
    """Give the function to call after each step; it shows temperature and speed."""
    settings, first = simulation.settings, simulation.step
    start = time.perf_counter()

    def text() -> str:
        rate = (simulation.step - first) / (time.perf_counter() - start)
        return f"{simulation.temperature():5.0f} K {ns_per_day(rate, settings):.3g} ns/day"

    with bar(settings.ensemble, settings.steps, shown, done=first) as advance:
        yield lambda: advance(simulation.step, text)


def ns_per_day(steps_per_second: float, settings: MDSettings) -> float:
    """Speed of a run."""
    return steps_per_second * settings.timestep_fs * 1e-6 * 86400.0


def title(result: MDResult, settings: MDSettings) -> str:
    """Title of the table at the end of a run."""
    return (
        f"{result.atoms.get_chemical_formula()}, {settings.ensemble}, "
        f"{result.steps * settings.timestep_fs / 1000.0:g} ps in steps of "
        f"{settings.timestep_fs:g} fs"
    )
