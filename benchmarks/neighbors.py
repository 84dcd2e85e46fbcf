"""Neighbour lists: ours by each backend at hand, beside matscipy, vesin and ASE themselves.

A periodic gas of 0.05 atoms per Å^3, 5 Å. Ours gives the edges sorted and checked on the caller's
positions; the others give them as they come.

    python benchmarks/neighbors.py --output docs/benchmarks/neighbors.json
"""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ase import Atoms
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from timing import in_turns, machine, sample

from ase_geomformer.machine.files import write_text
from ase_geomformer.neighbors import BACKENDS, neighbor_list
from ase_geomformer.runs.plain import to_json

DENSITY = 0.05
CUTOFF = 5.0
# Slower than the others by so much that more atoms would take minutes.
MOST_ATOMS = {"ase": 10_000}


def main() -> None:
    """Measure, show a table, and write JSON."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument(
        "--atoms", nargs="+", type=int, default=[10**power for power in range(2, 7)]
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--output", type=Path, help="JSON file to write")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    rows = []
    for number in options.atoms:
        work = searches(gas(number))
        timed = {
            name: lambda it=function: sample(it)
            for name, function in work.items()
            if number <= MOST_ATOMS.get(name, number)
        }
        for call in timed.values():
            call()
        found = in_turns(timed, options.rounds)
        rows += [{"atoms": number, "search": name, **times} for name, times in found.items()]
    show(rows)
    if options.output is not None:
        write_text(options.output, to_json({**machine("vesin", "matscipy"), "rows": rows}))


def gas(number: int) -> Atoms:
    """Atoms at random in a cube."""
    edge = (number / DENSITY) ** (1 / 3)
    positions = np.random.default_rng(0).uniform(0.0, edge, size=(number, 3))
    return Atoms(np.ones(number), positions=positions, cell=np.full(3, edge), pbc=True)


def searches(atoms: Atoms) -> dict[str, Callable[[], Any]]:
    """The same list by everything that is installed."""
    positions = torch.from_numpy(atoms.positions)
    cell, pbc = torch.from_numpy(atoms.cell.array.copy()), torch.from_numpy(atoms.pbc.copy())
    found: dict[str, Callable[[], Any]] = {
        f"ours, {name}": lambda name=name: neighbor_list(positions, cell, pbc, CUTOFF, backend=name)
        for name, backend in BACKENDS.items()
        if backend.available and name != "torch-cluster"
    }
    from ase.neighborlist import neighbor_list as ase_list
    from matscipy.neighbours import neighbour_list
    from vesin import NeighborList

    found["matscipy"] = lambda: neighbour_list("ijS", atoms, CUTOFF)
    found["vesin"] = lambda: NeighborList(cutoff=CUTOFF, full_list=True).compute(
        atoms.positions, atoms.cell.array, True, "ijS"
    )
    found["ase"] = lambda: ase_list("ijS", atoms, CUTOFF)
    return found


def show(rows: list[dict[str, Any]]) -> None:
    """Print the figures."""
    table = Table(title=f"Neighbour list of a gas, {CUTOFF} Å", box=SIMPLE_HEAD)
    for heading in ("atoms", "search", "wall (ms)", "processor (ms)"):
        table.add_column(heading, justify="left" if heading == "search" else "right")
    for it in rows:
        wall, cpu = it["wall_min_ms"], it["cpu_min_ms"]
        table.add_row(f"{it['atoms']:,}", it["search"], f"{wall:.1f}", f"{cpu:.1f}")
    Console().print(table)


if __name__ == "__main__":
    main()
