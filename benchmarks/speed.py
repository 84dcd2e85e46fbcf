"""Time of a step of every shipped potential: energy and forces of a structure that has moved.

From the root of a checkout:

    python benchmarks/speed.py --output docs/benchmarks/speed.json --cards

With --cards the results are written into the potentials' folders for the README. The kind
``evaluate_many`` is a list of one structure, evaluated with what a calculator has prepared; it
should take at most 1.2 times a plain step:

    python benchmarks/speed.py --kinds plain evaluate_many --potentials so3krates-rmd17-ethanol
"""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from ase import Atoms
from shipped import shipped, today
from timing import Sample, in_turns, machine, processor, sample

from ase_geomformer import PotentialCalculator, evaluate_many
from ase_geomformer.accuracy.readme.checks import CardCheck
from ase_geomformer.accuracy.readme.page import add_checks
from ase_geomformer.checkpoint.folder import read_card
from ase_geomformer.machine.files import write_text
from ase_geomformer.runs.plain import to_json

# Left to itself, a calculator uses what was compiled before.
KINDS = {"plain": {"compile": False}, "compiled": {"compile": True}}
# A list of one structure; not on the cards.
LIST = "evaluate_many"
WARM_UP = 3
STEP_A = 0.003


def main() -> None:
    """Measure, print, and write JSON."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--potentials", nargs="+", help="names; all shipped ones where left out")
    parser.add_argument("--kinds", nargs="+", choices=[*KINDS, LIST], default=list(KINDS))
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--device", default="cpu", help="cpu or cuda[:N]")
    parser.add_argument("--output", type=Path, help="JSON file to write")
    parser.add_argument("--cards", action="store_true", help="write into the potentials' folders")
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows = []
    for name in options.potentials or shipped():
        folder = shipped()[name]
        card = read_card(folder)
        atoms = card.golden[0].to_atoms()
        timed = {kind: step(name, kind, atoms, options.device) for kind in options.kinds}
        for kind, call in timed.items():
            first, *_ = [call() for _ in range(WARM_UP)]
            print(f"{name}, {kind}: first call {1e3 * first[1]:.1f} ms of the processor")
        times = in_turns(timed, options.rounds)
        told = check(card.sha256, atoms, times, options.device)
        rows.append({"potential": name, "device": options.device, "times": times, **vars(told)})
        shown = {kind: round(found["cpu_min_ms"], 2) for kind, found in times.items()}
        print(f"{name}, {atoms.symbols}, processor ms: {shown}", flush=True)
        if options.cards:
            add_checks(folder, {f"speed_{torch.device(options.device).type}": told})
    if options.output is not None:
        write_text(options.output, to_json({**machine("vesin"), "rows": rows}))


def step(name: str, kind: str, atoms: Atoms, device: str) -> Callable[[], Sample]:
    """A timed step: all atoms move a little."""
    moving, rng = atoms.copy(), np.random.default_rng(1)
    settings = KINDS.get(kind, {})
    calculator = PotentialCalculator(name, device=device, dtype="float32", **settings)
    moving.calc = None if kind == LIST else calculator
    if kind == LIST:
        calculator.get_property("forces", atoms)

    def evaluate() -> object:
        return evaluate_many([moving], calculator) if kind == LIST else moving.get_forces()

    def timed() -> Sample:
        moving.positions += rng.normal(scale=STEP_A, size=moving.positions.shape)
        return sample(evaluate)

    return timed


def check(sha256: str, atoms: Atoms, times: dict[str, dict[str, float]], device: str) -> CardCheck:
    """What the README says of the times.

    On a CPU they are processor times, which other users of the machine do not lengthen.
    """
    on_cpu = torch.device(device).type == "cpu"
    where = f"one thread of {processor()}" if on_cpu else torch.cuda.get_device_name(device)
    which, clock = ("cpu_min_ms", "processor") if on_cpu else ("wall_min_ms", "wall-clock")
    return CardCheck(
        sha256=sha256,
        title=f"Speed on {where}",
        conditions=f"Energy and forces of {len(atoms)} atoms ({atoms.get_chemical_formula()}) "
        "that have moved, neighbour list included, in float32: the least "
        f"{clock} time of several (`benchmarks/speed.py`).",
        values={f"{kind}_ms": found[which] for kind, found in times.items() if kind in KINDS},
        date=today(),
    )


if __name__ == "__main__":
    main()
