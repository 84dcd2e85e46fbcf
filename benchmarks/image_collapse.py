"""When attention over pairs of atoms is faster than over their periodic images.

Silicon cells of growing size, GeoMFormer of the published 1M size with a distance bias. From the
root of a checkout:

    python benchmarks/image_collapse.py --output docs/benchmarks/image_collapse.json
"""

from __future__ import annotations

import statistics
import time
from argparse import ArgumentParser
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from ase.build import bulk
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from ase_geomformer.architectures import build
from ase_geomformer.architectures.geomformer.settings import SIZES
from ase_geomformer.graph.atom_graph import AtomGraph
from ase_geomformer.machine.files import write_text
from ase_geomformer.potential import Potential
from ase_geomformer.runs.plain import to_json

CELLS = ((False, 1), (True, 1), (False, 2), (True, 2), (True, 3))  # cubic or primitive, repeats


@dataclass(frozen=True)
class Row:
    """Median processor time of energy, forces and stress, by edges and by pairs of atoms."""

    atoms: int
    edges: int
    by_edges_ms: float
    by_pairs_ms: float
    largest_difference_eV_per_A: float


def measure(cubic: bool, repeats: int, evaluations: int) -> Row:
    """One cell, both ways in turns."""
    atoms = bulk("Si", cubic=cubic) * repeats
    atoms.rattle(0.05, seed=0)
    potentials, forces = [], []
    times: list[list[float]] = [[], []]
    for collapse in (False, True):
        torch.manual_seed(0)
        settings = {**SIZES["1M"], "distance_bias": True, "image_collapse": collapse}
        architecture = build("geomformer", settings)
        potentials.append(Potential(architecture, ["Si"]).requires_grad_(False))
    graph = AtomGraph.from_atoms(atoms, potentials[0].cutoff)
    for potential in potentials:
        forces.append(potential(graph)["forces"])
        potential.float()
    single = graph.to(dtype=torch.float32)
    for turn in range(-2, evaluations):
        for potential, taken in zip(potentials, times, strict=True):
            start = time.process_time()
            potential(single, ("energy", "forces", "stress"))
            if turn >= 0:
                taken.append(1e3 * (time.process_time() - start))
    difference = (forces[0] - forces[1]).abs().max().item()
    medians = (statistics.median(taken) for taken in times)
    return Row(graph.num_atoms, graph.num_edges, *medians, difference)


def main() -> None:
    """Measure, show a table, and write JSON."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--evaluations", type=int, default=10, help="timed ones of each kind")
    parser.add_argument("--output", type=Path, help="JSON file to write")
    options = parser.parse_args()
    rows = [measure(*cell, options.evaluations) for cell in CELLS]
    table = Table("atoms", "edges", "by edges (ms)", "by pairs (ms)", box=SIMPLE_HEAD)
    for row in rows:
        table.add_row(
            str(row.atoms), str(row.edges), f"{row.by_edges_ms:.1f}", f"{row.by_pairs_ms:.1f}"
        )
    Console().print(table)
    if options.output is not None:
        threads = torch.get_num_threads()
        entries = [asdict(row) for row in rows]
        content = {"torch": torch.__version__, "threads": threads, "rows": entries}
        write_text(options.output, to_json(content))


if __name__ == "__main__":
    main()
