"""evaluate_many against one structure after the other, for many small structures.

With ``--compile`` both compiled as well; the first round compiles and is not counted.

    python benchmarks/batching.py --compile --output docs/benchmarks/batching.json
"""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from ase import Atoms
from ase.build import molecule
from cases import potential
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from timing import in_turns, machine, sample

from ase_geomformer import PotentialCalculator
from ase_geomformer.evaluate import BatchEvaluator
from ase_geomformer.graph.atom_graph import AtomGraph
from ase_geomformer.graph.joint import graphs
from ase_geomformer.machine.files import write_text
from ase_geomformer.runs.plain import to_json

MOLECULES = ("CH3CH2OH", "H2O", "C6H6", "CH3COOH", "CH4")


def main() -> None:
    """Measure, show a table, and write JSON."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--structures", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--compile", action="store_true", help="compiled, too")
    parser.add_argument("--output", type=Path, help="JSON file to write")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    crowd = molecules(options.structures)
    cutoff = potential().cutoff
    work: dict[str, Callable[[], object]] = {
        "graphs one by one": lambda: [AtomGraph.from_atoms(atoms, cutoff) for atoms in crowd],
        "graphs together": lambda: list(graphs(crowd, cutoff)),
        **evaluations(crowd, compiled=False),
        **(evaluations(crowd, compiled=True) if options.compile else {}),
    }
    for function in work.values():
        function()
    found = in_turns(
        {name: lambda it=function: sample(it) for name, function in work.items()}, options.rounds
    )
    table = Table(title=f"{len(crowd)} molecules of 3 to 12 atoms", box=SIMPLE_HEAD)
    for heading in ("", "wall (ms)", "processor (ms)", "per structure (ms)"):
        table.add_column(heading, justify="right" if heading else "left")
    for name, times in found.items():
        each = times["cpu_min_ms"] / len(crowd)
        table.add_row(
            name, f"{times['wall_min_ms']:.0f}", f"{times['cpu_min_ms']:.0f}", f"{each:.3f}"
        )
    Console().print(table)
    if options.output is not None:
        content = {**machine("vesin"), "structures": len(crowd), "rows": found}
        write_text(options.output, to_json(content))


def evaluations(crowd: list[Atoms], *, compiled: bool) -> dict[str, Callable[[], object]]:
    """The forces of all structures, one by one and together."""
    calculator = PotentialCalculator(
        potential(), device="cpu", dtype="float32", skin=0.0, compile=compiled
    )
    evaluate = BatchEvaluator(calculator)
    suffix = ", compiled" if compiled else ""
    return {
        f"calculator{suffix}": lambda: [
            calculator.get_property("forces", atoms) for atoms in crowd
        ],
        f"evaluate_many{suffix}": lambda: evaluate(crowd),
    }


def molecules(number: int) -> list[Atoms]:
    """Rattled copies of a few molecules, in turn."""
    rng = np.random.default_rng(0)
    kinds = [molecule(name) for name in MOLECULES]
    crowd = [kinds[index % len(kinds)].copy() for index in range(number)]
    for atoms in crowd:
        atoms.positions += rng.normal(scale=0.03, size=atoms.positions.shape)
    return crowd


if __name__ == "__main__":
    main()
