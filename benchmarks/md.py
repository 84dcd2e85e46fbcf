"""Plain ASE molecular dynamics: steps per second, and where a step's time goes.

python benchmarks/md.py --output docs/benchmarks/md.json
"""

from __future__ import annotations

import time
from argparse import ArgumentParser
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from ase import Atoms, units
from ase.md.verlet import VelocityVerlet
from cases import CASES, cases, potential
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from timing import in_turns, machine, sample

from ase_geomformer import PotentialCalculator
from ase_geomformer.graph.atom_graph import AtomGraph
from ase_geomformer.machine.files import write_text
from ase_geomformer.runs.plain import to_json

TIMESTEP_FS = 0.5
TEMPERATURE_K = 300.0
STEPS_PER_ROUND = 5
PARTS = ("list", "graph", "model")
KINDS = {
    "no skin": {"skin": 0.0, "radial_tables": False, "compile": False},
    "skin": {"radial_tables": False, "compile": False},
    "skin, tables": {"radial_tables": True, "compile": False},
    "skin, tables, compiled": {"radial_tables": True, "compile": True},
}


def main() -> None:
    """Measure, show a table, and write JSON."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--structures", nargs="+", choices=CASES, default=["ethanol", "Si512"])
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS))
    parser.add_argument("--rounds", type=int, default=5, help=f"of {STEPS_PER_ROUND} steps each")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--output", type=Path, help="JSON file to write")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    rows = []
    for name, atoms in cases(options.structures).items():
        runs = {kind: start(atoms, kind) for kind in options.kinds}
        for run in runs.values():
            run.run(STEPS_PER_ROUND)
        timed = {
            kind: lambda run=run: sample(lambda: run.run(STEPS_PER_ROUND))
            for kind, run in runs.items()
        }
        found = in_turns(timed, options.rounds)
        for kind, times in found.items():
            rows.append(row(name, kind, times, shares(runs[kind])))
    show(rows)
    if options.output is not None:
        write_text(options.output, to_json({**machine("vesin"), "rows": rows}))


def start(atoms: Atoms, kind: str) -> VelocityVerlet:
    """Dynamics at 300 K, ready to run."""
    moving = atoms.copy()
    moving.calc = PotentialCalculator(potential(), device="cpu", dtype="float32", **KINDS[kind])
    spread = np.sqrt(units.kB * TEMPERATURE_K * moving.get_masses())[:, None]
    moving.set_momenta(spread * np.random.default_rng(0).normal(size=(len(moving), 3)))
    return VelocityVerlet(moving, TIMESTEP_FS * units.fs)


def shares(run: VelocityVerlet) -> dict[str, float]:
    """Shares of wall-clock time: of each part, and of ASE and the calculator around them."""
    taken = dict.fromkeys(PARTS, 0.0)
    calculator = run.atoms.calc
    parts: list[tuple[Any, str, str]] = [
        (calculator.neighbors, "update", "list"),
        (AtomGraph, "from_neighbors", "graph"),
        (calculator.prepared, "function", "model"),
    ]
    with ExitStack() as stack:
        for owner, name, part in parts:
            timed = clocked(getattr(owner, name), taken, part)
            stack.enter_context(patch.object(owner, name, timed))
        wall, _ = sample(lambda: run.run(STEPS_PER_ROUND))
    found = {part: seconds / wall for part, seconds in taken.items()}
    return {**found, "rest": 1.0 - sum(found.values())}


def clocked(function: Callable[..., Any], taken: dict[str, float], part: str) -> Callable[..., Any]:
    """The function, which counts its time as that of a part."""

    def timed(*args: Any, **kwargs: Any) -> Any:
        start = time.perf_counter()
        result = function(*args, **kwargs)
        taken[part] += time.perf_counter() - start
        return result

    return timed


def row(name: str, kind: str, times: dict[str, float], shares: dict[str, float]) -> dict[str, Any]:
    """Figures per step."""
    step_s = times["wall_min_ms"] / 1e3 / STEPS_PER_ROUND
    return {
        "structure": name,
        "kind": kind,
        "wall_min_ms": 1e3 * step_s,
        "cpu_min_ms": times["cpu_min_ms"] / STEPS_PER_ROUND,
        "steps_per_s": 1.0 / step_s,
        "ns_per_day": TIMESTEP_FS * 1e-6 * 86400 / step_s,
        "shares": shares,
    }


def show(rows: list[dict[str, Any]]) -> None:
    """Print the figures."""
    table = Table(title=f"NVE with ASE, {TIMESTEP_FS} fs", box=SIMPLE_HEAD)
    for heading in ("structure", "with"):
        table.add_column(heading)
    for heading in ("wall (ms)", "processor (ms)", "steps/s", "ns/day", *PARTS, "rest"):
        table.add_column(heading, justify="right")
    for it in rows:
        figures = (it["wall_min_ms"], it["cpu_min_ms"], it["steps_per_s"], it["ns_per_day"])
        table.add_row(
            it["structure"],
            it["kind"],
            *(f"{figure:.3g}" for figure in figures),
            *(f"{share:.0%}" for share in it["shares"].values()),
        )
    Console().print(table)


if __name__ == "__main__":
    main()
