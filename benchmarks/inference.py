"""Energy and forces through the ASE calculator: ours, plain and accelerated, beside peers.

Each step moves all atoms a little and asks for forces anew, neighbour list included. All that is
compared takes turns in one run, of one step or several. A peer runs in an environment of its own,
PEERS/NAME, where its packages are installed as ``benchmarks/peers/NAME.py`` says; it is skipped
where there is none. NAME.compiled is the same peer in its own fastest mode. With ``--processes``,
potentials that ship run in processes of their own, too, so that start and first step compare: by
compiled code where the cache has it. From the root of a checkout:

    python benchmarks/inference.py --peers ~/peers --output docs/benchmarks/inference.json

Trained potentials and structures of one's own take part by name or path:

    python benchmarks/inference.py --architectures --potentials my-potentials/so3lr \\
        --long_range_cutoff 6 --structures water192 --files peptide.xyz
"""

from __future__ import annotations

import json
import subprocess
import sys
from argparse import ArgumentParser
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ase import Atoms
from ase.io import read
from cases import CASES, SETTINGS, cases, potential
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from timing import Sample, in_turns, machine, sample

from ase_geomformer import PotentialCalculator, list_potentials, load_potential
from ase_geomformer.checkpoint.folder import read_card
from ase_geomformer.machine.files import write_text
from ase_geomformer.potential import Potential
from ase_geomformer.runs.plain import to_json

KINDS = {
    "networks": {"radial_tables": False, "compile": False},
    "tables": {"radial_tables": True, "compile": False},
    "compiled networks": {"radial_tables": False, "compile": True},
    "compiled tables": {"radial_tables": True, "compile": True},
}
PEERS = Path(__file__).parent / "peers"
WARM_UP = 2
STEP_A = 0.003


def main() -> None:
    """Measure, show a table, and write JSON."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--structures", nargs="*", choices=CASES, default=["ethanol", "Si64"])
    parser.add_argument("--files", nargs="+", type=Path, default=[], help="structures, too")
    parser.add_argument(
        "--architectures", nargs="*", choices=SETTINGS, default=["so3krates"], help="ours"
    )
    parser.add_argument("--potentials", nargs="+", default=[], help="ours, by name or path")
    parser.add_argument("--long_range_cutoff", type=float, help="Å, of potentials that have one")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS))
    parser.add_argument(
        "--processes", nargs="+", default=[], help="ours, by name, each in a process of its own"
    )
    parser.add_argument("--peers", type=Path, help="folder of the peers' environments")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--in_a_row", type=int, default=1, help="steps of a turn")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--output", type=Path, help="JSON file to write")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    console = Console()
    peers = {
        name: Peer(Path(sys.executable), PEERS / "_ours.py", options.threads, name)
        for name in options.processes
    }
    peers |= start_peers(options.peers, options.threads, console)
    own = {name: potential(name) for name in options.architectures}
    own |= {Path(name).name: load_potential(name) for name in options.potentials}
    structures = cases(options.structures) | {file.stem: read(file) for file in options.files}
    rows = []
    for name, atoms in structures.items():
        timed: dict[str, Callable[[], Sample]] = {
            f"{by}, {kind}": ours(it, kind, atoms, options.long_range_cutoff)
            for by, it in own.items()
            for kind in options.kinds
        }
        timed |= {
            peer: process.of(atoms)
            for peer, process in peers.items()
            if peer not in options.processes or knows(peer, atoms)
        }
        for call in timed.values():
            for _ in range(WARM_UP):
                call()
        found = in_turns(timed, options.rounds, options.in_a_row)
        rows += [{"structure": name, "evaluated_by": by, **times} for by, times in found.items()]
    for process in peers.values():
        process.stop()
    show(rows, console)
    if options.output is not None:
        starts = {
            peer: {
                "version": process.version,
                "start_cpu_s": process.start_cpu_s,
                "first_step_cpu_s": process.first_step_cpu_s,
            }
            for peer, process in peers.items()
        }
        content = {
            **machine("vesin"),
            "rounds": options.rounds,
            "in_a_row": options.in_a_row,
            "peers": starts,
            "rows": rows,
        }
        write_text(options.output, to_json(content))


def ours(
    potential: Potential, kind: str, atoms: Atoms, long_range_cutoff: float | None
) -> Callable[[], Sample]:
    """A timed step with one of our calculators."""
    calculator = PotentialCalculator(
        potential,
        device="cpu",
        dtype="float32",
        # Peers have the published sums.
        long_range="published",
        long_range_cutoff=long_range_cutoff
        if long_range_cutoff and potential.far_cutoff
        else "auto",
        **KINDS[kind],
    )
    moving, rng = atoms.copy(), np.random.default_rng(1)
    moving.calc = calculator

    def step() -> Sample:
        moving.positions += rng.normal(scale=STEP_A, size=moving.positions.shape)
        return sample(moving.get_forces)

    return step


class Peer:
    """A peer in its own process, which answers every line with a line.

    Attributes
    ----------
    version : str
    start_cpu_s : float
        Processor seconds until it could take a structure.
    first_step_cpu_s : float or None
        Of the first step that it ever made, once it has.
    """

    def __init__(self, python: Path, script: Path, threads: int, *more: str) -> None:
        self._process = subprocess.Popen(
            [str(python), str(script), str(threads), *more],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        told = self._answer()
        self.version, self.start_cpu_s = told["version"], told["start_cpu_s"]
        self.first_step_cpu_s: float | None = None

    def of(self, atoms: Atoms) -> Callable[[], Sample]:
        """A timed step with this structure."""
        structure = {
            "numbers": atoms.numbers.tolist(),
            "positions": atoms.positions.tolist(),
            "cell": atoms.cell.array.tolist(),
            "pbc": bool(atoms.pbc.all()),
            "step_A": STEP_A,
        }
        self._ask(structure)

        def step() -> Sample:
            answer = self._ask({})
            if self.first_step_cpu_s is None:
                self.first_step_cpu_s = answer["cpu_s"]
            return answer["wall_s"], answer["cpu_s"]

        return step

    def stop(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()

    def _ask(self, question: dict[str, Any]) -> dict[str, Any]:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(question) + "\n")
        self._process.stdin.flush()
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith("{"):
                answer: dict[str, Any] = json.loads(line)
                return answer
        raise RuntimeError(f"{self._process.args} ended without an answer")


def start_peers(folder: Path | None, threads: int, console: Console) -> dict[str, Peer]:
    """The peers that have an environment; the others are named and left out."""
    peers = {}
    for script in sorted(PEERS.glob("[!_]*.py")) if folder else []:
        python = folder / script.stem.partition(".")[0] / "bin" / "python"
        if python.exists():
            peers[script.stem] = Peer(python, script, threads)
        else:
            console.print(f"{script.stem}: skipped, no environment at {python}")
    return peers


def knows(potential: str, atoms: Atoms) -> bool:
    """Whether a potential that ships knows the elements of a structure."""
    known = read_card(list_potentials()[potential]).elements
    return set(atoms.get_chemical_symbols()) <= set(known)


def show(rows: list[dict[str, Any]], console: Console) -> None:
    """Print the figures, with ratios to the first row of each structure."""
    table = Table(title="Energy and forces, new geometry at each step", box=SIMPLE_HEAD)
    for heading in ("structure", "evaluated by"):
        table.add_column(heading)
    for heading in ("wall (ms)", "processor (ms)", "ratio"):
        table.add_column(heading, justify="right")
    first: dict[str, float] = {}
    for row in rows:
        reference = first.setdefault(row["structure"], row["cpu_min_ms"])
        wall, cpu = row["wall_min_ms"], row["cpu_min_ms"]
        table.add_row(
            row["structure"],
            row["evaluated_by"],
            f"{wall:.1f}",
            f"{cpu:.1f}",
            f"{cpu / reference:.2f}",
        )
    console.print(table)


if __name__ == "__main__":
    main()
