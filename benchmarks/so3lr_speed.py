"""What a step of SO3LR takes, plain and compiled, beside its port to PyTorch.

    ase-geomformer models get so3lr
    python benchmarks/so3lr_speed.py --data ../shared/data --peers ~/peers

Energy and forces of a new geometry at each step, neighbour list included, float32, one thread. All
take turns in one run; figures are the least of several, of processor time. The peer runs in an
environment of its own, PEERS/so3lr_torch, as peers/so3lr_torch.py says; it has the published sums
up to 12 Å, ours what the boundaries need, all pairs or Ewald's sum. Code that the cache holds is
used, and figures of its making are kept from an earlier run; to measure that, name an empty folder
in $ASE_GEOMFORMER_CACHE. Writes
docs/benchmarks/so3lr-speed.json, which benchmarks/so3lr.py makes a section of docs/so3lr.md of.
"""

from __future__ import annotations

import json
from argparse import ArgumentParser
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from ase import Atoms
from compiled_code import making
from inference import STEP_A, start_peers
from rich.console import Console
from so3lr import DOCS, read
from so3lr_liquid import water_box
from timing import Sample, clocked, in_turns, machine, sample

from ase_geomformer import PotentialCalculator
from ase_geomformer.machine.files import write_text
from ase_geomformer.physics import boundaries_of
from ase_geomformer.runs.plain import to_json

FILE = "benchmarks/so3lr-speed.json"
# Molecules of the conformer set nearest to so many atoms, and boxes of so many waters.
ATOMS, WATERS = (24, 48, 72, 96), (64, 216)
PEER = "so3lr_torch"


def main() -> None:
    """Measure, and write JSON."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--potential", default="so3lr")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--peers", type=Path, help="folder of the peers' environments")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS))
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--in_a_row", type=int, default=5)
    parser.add_argument("--docs", type=Path, default=DOCS)
    options = parser.parse_args()
    torch.set_num_threads(1)
    peers = start_peers(options.peers, 1, Console())
    timed_peer = peers.get(PEER)
    for name in peers.keys() - {PEER}:
        peers[name].stop()
    file = options.docs / FILE
    before = json.loads(file.read_text()) if file.exists() else {"making": {}, "rows": []}
    made = before["making"]
    rows = [row for row in before["rows"] if row["kind"] not in options.kinds]
    for kind in options.kinds:
        structures = KINDS[kind](options.data)
        compiled = calculator(options.potential, compiled=True).prepared
        found = making(compiled.fitting(boundaries_of(structures[0])))
        made[kind] = {**made.get(kind, {}), **found}
        for atoms in structures:
            steps = {
                "plain": stepper(calculator(options.potential, compiled=False), atoms),
                "compiled": stepper(calculator(options.potential, compiled=True), atoms),
            }
            first = {name: clocked(step)[1]["cpu_s"] for name, step in steps.items()}
            if timed_peer is not None:
                steps[PEER] = timed_peer.of(atoms)
            for step in steps.values():
                step()
            times = in_turns(steps, options.rounds, options.in_a_row)
            rows.append({"kind": kind, "atoms": len(atoms), "first_cpu_s": first, **times})
            print(kind, len(atoms), {name: entry["cpu_min_ms"] for name, entry in times.items()})
    version = None if timed_peer is None else timed_peer.version
    if timed_peer is not None:
        timed_peer.stop()
    content = {**machine("vesin"), "peer": version, "making": made, "rows": rows}
    write_text(file, to_json(content))


def molecules(data: Path) -> list[Atoms]:
    frames = list(read(data, "conformers"))
    chosen = (min(frames, key=lambda atoms: abs(len(atoms) - number)) for number in ATOMS)
    return [Atoms(atoms.numbers, atoms.positions) for atoms in chosen]


def liquids(_: Path) -> list[Atoms]:
    return [water_box(number) for number in WATERS]


def calculator(potential: str, *, compiled: bool) -> PotentialCalculator:
    return PotentialCalculator(potential, device="cpu", dtype="float32", compile=compiled)


def stepper(calculator: PotentialCalculator, atoms: Atoms) -> Callable[[], Sample]:
    """A step: all atoms moved a little, and forces."""
    moving, rng = atoms.copy(), np.random.default_rng(1)
    moving.calc = calculator

    def step() -> Sample:
        moving.positions += rng.normal(scale=STEP_A, size=moving.positions.shape)
        return sample(moving.get_forces)

    return step


KINDS = {"molecules": molecules, "liquid": liquids}

if __name__ == "__main__":
    main()
