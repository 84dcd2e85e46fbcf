"""Memory and open files of a process that computes for long.

From the root of a checkout, on Linux:

    python benchmarks/long_life.py --output docs/benchmarks/long_life.json

Memory is the resident set of the process, and open files are its descriptors, both as Linux
reports them. A fifth of each case is warm-up: caches fill, and freed memory is kept for reuse.
After that nothing should grow, but for the log, whose lines a run of dynamics keeps.
"""

from __future__ import annotations

import gc
import os
import resource
import tempfile
from argparse import ArgumentParser
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.build import bulk, molecule
from ase.calculators.emt import EMT
from timing import clocked, machine

from ase_geomformer import PotentialCalculator
from ase_geomformer.machine.files import write_text
from ase_geomformer.md import MDSettings, Observer, run_md
from ase_geomformer.recipes import RelaxSettings, relax
from ase_geomformer.runs.plain import to_json

POTENTIAL = "so3krates-rmd17-ethanol"
SAMPLES = 20
WARM_UP = SAMPLES // 5

Count = Callable[[int], None]


class Watch:
    """Memory and open files, taken at equal parts of the work.

    Parameters
    ----------
    number : int
        How often the work is repeated.
    """

    def __init__(self, number: int) -> None:
        self.interval = max(1, number // SAMPLES)
        self.rows: list[dict[str, float]] = []

    def __call__(self, done: int) -> None:
        """Take a sample where one is due."""
        if done % self.interval == 0:
            gc.collect()
            self.rows.append({"done": done, "memory_MB": memory(), "open_files": open_files()})


def memory() -> float:
    """Resident set of this process in MB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 1e6


def open_files() -> int:
    """Number of open descriptors of this process, less the one that lists them."""
    return len(os.listdir("/proc/self/fd")) - 1


def dynamics(atoms: Atoms, calculator: Any, steps: int, count: Count) -> None:
    """Make steps of a run with all its files."""
    observer = Observer(lambda _, step: count(step))
    settings = MDSettings(steps=steps, ensemble="nvt-langevin")
    with tempfile.TemporaryDirectory() as folder:
        result = run_md(
            atoms, calculator, settings, output=folder, observers=[observer], progress=False
        )
    assert result.completed, result.reason


def emt_dynamics(steps: int, count: Count) -> None:
    """Dynamics of four atoms of copper."""
    dynamics(bulk("Cu", cubic=True), EMT(), steps, count)


def ethanol_dynamics(steps: int, count: Count) -> None:
    """Dynamics of ethanol with a potential that ships."""
    dynamics(molecule("CH3CH2OH"), PotentialCalculator(POTENTIAL), steps, count)


def relaxations(number: int, count: Count) -> None:
    """Relax crystals and molecules in turns, one in nine with an output folder."""
    rng = np.random.default_rng(0)
    for done in range(1, number + 1):
        atoms = bulk("Cu", cubic=True) if done % 2 else molecule("H2O")
        atoms.rattle(0.03, rng=rng)
        settings = RelaxSettings(cell="full" if done % 4 == 1 else "none", fmax=0.05, steps=50)
        with tempfile.TemporaryDirectory() as folder:
            output = None if done % 9 else folder
            relax(atoms, EMT(), settings, output=output, progress=False)
        count(done)


def calculators(number: int, count: Count) -> None:
    """Make calculators, use each once, and drop them."""
    for done in range(1, number + 1):
        PotentialCalculator(POTENTIAL).get_property("forces", molecule("CH3CH2OH"))
        count(done)


# By name: the work, how often it is repeated, and what it is.
CASES: dict[str, tuple[Callable[[int, Count], None], int, str]] = {
    "md-emt": (emt_dynamics, 20_000, "steps of MD, Cu4, EMT"),
    "md-ethanol": (ethanol_dynamics, 3_000, f"steps of MD, ethanol, `{POTENTIAL}`"),
    "relaxations": (relaxations, 2_000, "relaxations, Cu4 and water, EMT"),
    "calculators": (calculators, 200, f"calculators made and dropped, `{POTENTIAL}`"),
}


def measure(case: str, number: int) -> dict[str, Any]:
    """Memory and open files of one case."""
    watch, (work, _, label) = Watch(number), CASES[case]
    _, times = clocked(lambda: work(number, watch))
    warm = watch.rows[WARM_UP:]
    memories = [row["memory_MB"] for row in warm]
    return {
        "case": case,
        "what": label,
        "number": number,
        "memory_after_warm_up_MB": memories[0],
        "memory_at_the_end_MB": memories[-1],
        "memory_largest_MB": max(memories),
        "open_files_after_warm_up": warm[0]["open_files"],
        "open_files_at_the_end": warm[-1]["open_files"],
        **times,
        "samples": watch.rows,
    }


def show(row: dict[str, Any]) -> None:
    """Print a row of the table."""
    cells = (
        f"{row['number']:,} {row['what']}",
        f"{row['memory_after_warm_up_MB']:.1f}",
        f"{row['memory_at_the_end_MB']:.1f}",
        f"{row['memory_largest_MB']:.1f}",
        str(row["open_files_after_warm_up"]),
        str(row["open_files_at_the_end"]),
    )
    print("| " + " | ".join(cells) + " |", flush=True)


def main() -> None:
    """Measure, print a table, and write JSON."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--fraction", type=float, default=1.0, help="part of the full numbers")
    parser.add_argument("--cases", nargs="+", default=list(CASES), choices=list(CASES))
    parser.add_argument("--output", type=Path, help="JSON file to write")
    options = parser.parse_args()
    print("| what | MB after warm-up | at the end | largest | open files | at the end |")
    print("|---|---|---|---|---|---|")
    rows = []
    for case in options.cases:
        number = max(SAMPLES, round(options.fraction * CASES[case][1]))
        # Each in a process of its own, so that none finds what another has left.
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
            rows.append(process.submit(measure, case, number).result())
        show(rows[-1])
    if options.output is not None:
        write_text(options.output, to_json({**machine(), "rows": rows}))


if __name__ == "__main__":
    main()
