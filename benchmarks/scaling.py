"""Time and peak memory of a step against the number of atoms: both are linear.

    python benchmarks/scaling.py --output docs/benchmarks/scaling.json

By default silicon, by a potential of SO3LR's size with random weights; or a crystal of the first
element of a potential given by its name or path, which may be smaller and go further:

    python benchmarks/scaling.py --potential so3krates-mlearn-cu --repeats 4 8 16 29

With ``--compile`` by compiled code, which is made first unless the cache holds it; with several
numbers of ``--threads`` these take turns, and the gain is the ratio of wall-clock times:

    python benchmarks/scaling.py --potential so3krates-mlearn-cu --compile --threads 1 2 \\
        --repeats 3 10 16 20 29
"""

from __future__ import annotations

import resource
from argparse import ArgumentParser
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ase import Atoms
from cases import crystal, potential
from matplotlib.figure import Figure
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from timing import Sample, in_turns, machine, sample

from ase_geomformer import PotentialCalculator
from ase_geomformer.graph.atom_graph import AtomGraph
from ase_geomformer.machine.files import write_text
from ase_geomformer.runs.plain import to_json
from ase_geomformer.runs.style import (
    BLUE,
    GREY,
    PAGE,
    dress,
    new_figure,
    plain_log_ticks,
    save_figure,
    styled,
)
from ase_geomformer.runtime.memory_model import GraphSize, PeakMemory


def main() -> None:
    """Measure, show a table, and write JSON and a figure."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--potential", help="name or path")
    parser.add_argument(
        "--repeats", nargs="+", type=int, default=[1, 2, 3, 4, 6, 8], help="of the cell, cubed"
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", nargs="+", type=int, default=[1])
    parser.add_argument("--compile", action="store_true", help="measure compiled code")
    parser.add_argument("--output", type=Path, help="JSON file to write")
    parser.add_argument("--figure", type=Path, help="image to write")
    options = parser.parse_args()
    calculator = PotentialCalculator(
        options.potential or potential(),
        device="cpu",
        dtype="float32",
        skin=0.0,
        compile=options.compile,
    )
    if options.compile and calculator.prepared.ready() == "plain":
        raise SystemExit("the potential could not be compiled")
    before = resident_bytes()
    symbol = "Si" if options.potential is None else calculator.potential.symbols[0]
    rows = [
        row
        for repeats in options.repeats
        for row in measure(
            calculator, crystal(symbol, repeats), options.rounds, options.threads, before
        )
    ]
    title = f"Energy, forces and stress of {symbol} by {options.potential or 'random weights'}"
    show(rows, title)
    if options.output is not None:
        write_text(options.output, to_json({**machine("vesin"), "title": title, "rows": rows}))
    if options.figure is not None:
        one = [row for row in rows if row["threads"] == options.threads[0]]
        save_figure(draw(one), options.figure)


def measure(
    calculator: PotentialCalculator, atoms: Atoms, rounds: int, threads: list[int], before: int
) -> list[dict[str, Any]]:
    """One size: a full step of the calculator, and what evaluating its graph takes at most.

    What compiled code allocates is seen in resident memory only, as what it has grown by since
    ``before`` (bytes). It never shrinks: sizes must grow.
    """
    model = calculator.potential
    graph = AtomGraph.from_atoms(atoms, model.cutoff, dtype=model.dtype)
    if calculator.prepared.is_compiled:
        calculator.prepared(graph, ("energy", "forces"))
        peak = resident_bytes() - before
    else:
        with PeakMemory() as memory:
            model(graph, ("forces", "stress"))
        peak = memory.peak

    def stepper(number: int) -> Callable[[], Sample]:
        def step() -> Sample:
            torch.set_num_threads(number)
            calculator.reset()
            return sample(lambda: calculator.get_property("forces", atoms))

        return step

    times = in_turns({str(number): stepper(number) for number in threads}, rounds)
    size = {"atoms": len(atoms), "edges": graph.num_edges, "peak_MB": peak / 1e6}
    needed = calculator.prepared.memory.model(
        GraphSize.of(graph), compiled=calculator.prepared.is_compiled
    )
    size["predicted_MB"] = needed / 1e6
    return [{**size, "threads": number, **times[str(number)]} for number in threads]


def resident_bytes() -> int:
    """Most memory that this process has had so far."""
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def show(rows: list[dict[str, Any]], title: str) -> None:
    """Print the figures."""
    table = Table(title=title, box=SIMPLE_HEAD)
    for heading in ("atoms", "edges", "threads", "processor (ms)", "per atom (ms)", "wall (ms)"):
        table.add_column(heading, justify="right")
    for heading in ("peak (MB)", "predicted"):
        table.add_column(heading, justify="right")
    for it in rows:
        table.add_row(
            f"{it['atoms']:,}",
            f"{it['edges']:,}",
            str(it["threads"]),
            f"{it['cpu_min_ms']:.1f}",
            f"{it['cpu_min_ms'] / it['atoms']:.3f}",
            f"{it['wall_min_ms']:.1f}",
            f"{it['peak_MB']:.0f}",
            f"{it['predicted_MB']:.0f}",
        )
    Console().print(table)


@styled
def draw(rows: list[dict[str, Any]]) -> Figure:
    """Both against the number of atoms, with a line of slope one."""
    figure = new_figure(PAGE, 3.0)
    atoms = np.array([it["atoms"] for it in rows], dtype=float)
    columns = {"cpu_min_ms": "processor time of a step (ms)", "peak_MB": "peak memory (MB)"}
    for axes, (name, label) in zip(figure.subplots(1, 2), columns.items(), strict=True):
        values = np.array([it[name] for it in rows])
        axes.loglog(atoms, values, "o-", color=BLUE, ms=4, label="measured")
        linear = values[-1] * atoms / atoms[-1]
        axes.loglog(atoms, linear, "--", color=GREY, lw=1.0, label="in proportion to the atoms")
        axes.set_xlabel("atoms")
        axes.set_ylabel(label)
        axes.legend(frameon=False)
        dress(axes)
        for axis in (axes.xaxis, axes.yaxis):
            plain_log_ticks(axis)
    return figure


if __name__ == "__main__":
    main()
