"""Planning of large runs in LAMMPS: ghosts, bytes and memory of a process, by calculation.

Two domains of a silicon crystal, divided in memory, tell how many bytes a ghost takes in a step,
and the memory model what an atom does. A cube of as many atoms as a process has is then surrounded
by ghosts as far as the cutoff and the skin reach. Time is that of a measured atom, and of the bytes
at a given rate; networks that are slower or busier, and domains that are no cubes, take longer.

    python benchmarks/lammps_plan.py --seconds_per_atom 1.6e-4 --gigabytes_per_second 1 \
        --page docs/engines.md
"""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from cases import silicon
from marked import with_table

from ase_geomformer.accuracy.readme.markdown import table
from ase_geomformer.engines.domain import DomainEvaluator, Neighbourhood, reach
from ase_geomformer.machine.files import write_text
from ase_geomformer.runtime.memory_model import GraphSize
from ase_geomformer.runtime.prepared import PreparedPotential, prepare
from tests.engines.domains import ThreadMessenger, images_around, together

REPEATS = 4
LARGE = (10**6, 10**7, 10**8)
ATOMS_PER_PROCESS = (1000, 4000, 16000)


class Counting(ThreadMessenger):
    """Counts the bytes that it sends to others."""

    sent = 0

    def all_to_all(self, parts, counts=None):  # type: ignore[no-untyped-def]
        self.sent += sum(part.nbytes for rank, part in enumerate(parts) if rank != self.rank)
        return super().all_to_all(parts, counts)


def exchanged(prepared: PreparedPotential, atoms: Atoms) -> tuple[float, int, float]:
    """Bytes sent for each ghost in a step, the ghosts of a half of the atoms, and edges by atom."""
    half = atoms.positions[:, 0] < 0.5 * atoms.cell[0, 0] - 1e-3

    def work(messenger: ThreadMessenger) -> tuple[int, int, int]:
        counting = Counting(messenger._board, messenger.rank)
        evaluator = DomainEvaluator(prepared, counting)
        chosen = np.flatnonzero(half == (messenger.rank == 0))
        images, positions = images_around(atoms, chosen, reach(prepared.potential))
        hood = Neighbourhood(images, positions, counting, prepared.potential)
        counting.sent = 0
        graph = hood.graph(positions, atoms.cell.array)
        evaluator(graph, len(chosen))
        return counting.sent, hood.plan.num_ghosts, graph.edge_index.shape[1]

    (sent, ghosts, edges), _ = together(2, work)
    return sent / ghosts, ghosts, edges / int(half.sum())


def ghosts_of(atoms: float, density: float, reach_A: float) -> float:
    """Ghosts around a cube of atoms, by the density in 1/Å^3."""
    edge = (atoms / density) ** (1.0 / 3.0)
    return density * ((edge + 2.0 * reach_A) ** 3 - edge**3)


def main() -> None:
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--potential", default="so3krates-mlearn-si")
    parser.add_argument("--seconds_per_atom", type=float, default=1.6e-4)
    parser.add_argument("--gigabytes_per_second", type=float, default=1.0)
    parser.add_argument("--page", type=Path, help="page to write the table into")
    options = parser.parse_args()
    prepared = prepare(options.potential, dtype="float32", compile=False)
    atoms = silicon(REPEATS)
    density = len(atoms) / atoms.get_volume()
    per_ghost, ghosts, edges = exchanged(prepared, atoms)
    cutoff = reach(prepared.potential)
    # A half of the cell has neighbours on two sides.
    area = float(atoms.cell[1, 1] * atoms.cell[2, 2])
    print(f"ghosts of a half of {len(atoms)} atoms: {ghosts}, by their volume "
          f"{2.0 * area * cutoff * density:.0f}")  # fmt: skip
    print(f"bytes sent for each ghost and step: {per_ghost:.0f}; edges of an atom: {edges:.1f}\n")
    body = [
        planned(prepared, own, density, cutoff, per_ghost, edges, options)
        for own in ATOMS_PER_PROCESS
    ]
    heads = (
        "atoms of a process", "processes for 10^6 / 10^7 / 10^8 atoms", "ghosts by atom",
        "sent (MB)", "memory (GB)", "computing (s)", "sending (ms)",
    )  # fmt: skip
    text = table(heads, body)
    print(text)
    if options.page is not None:
        page = options.page.read_text(encoding="utf-8")
        write_text(options.page, with_table(page, "benchmarks/lammps_plan.py", text))


def planned(
    prepared: PreparedPotential,
    own: int,
    density: float,
    cutoff: float,
    per_ghost: float,
    edges: float,
    options: Any,
) -> list[str]:
    """A row of the table, of processes with so many atoms."""
    ghosts = ghosts_of(own, density, cutoff)
    sent = per_ghost * ghosts
    memory = prepared.memory.model(GraphSize(own, round(edges * own), 0))
    return [
        f"{own:,}",
        " / ".join(f"{round(number / own):,}" for number in LARGE),
        f"{ghosts / own:.2f}",
        f"{sent / 1e6:.2g}",
        f"{memory / 1e9:.1f}",
        f"{options.seconds_per_atom * own:.2g}",
        f"{1e3 * sent / options.gigabytes_per_second / 1e9:.2g}",
    ]


if __name__ == "__main__":
    main()
