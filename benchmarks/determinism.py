"""Whether evaluations repeat to the bit, and what torch's deterministic mode costs.

From the root of a checkout:

    python benchmarks/determinism.py --threads 1 2 --output docs/benchmarks/determinism.json

On a CPU the package needs no such mode: edges are sorted by receiver, and sums over them and their
gradients are added in that order, whatever the number of threads. On a CUDA device the same sums
are atomic, and ``torch.use_deterministic_algorithms(True)`` is what makes them repeat.
"""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ase.build import bulk
from timing import in_turns, machine, sample

from ase_geomformer import PotentialCalculator
from ase_geomformer.machine.files import write_text
from ase_geomformer.runs.plain import to_json

POTENTIAL = "so3krates-mlearn-si"


def main() -> None:
    """Measure, print, and write JSON."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--repeat", type=int, default=4, help="cubic cells along each axis")
    parser.add_argument("--threads", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--output", type=Path, help="JSON file to write")
    options = parser.parse_args()
    rows = [measure(options, threads) for threads in options.threads]
    for row in rows:
        print(
            f"{row['atoms']} atoms, {row['threads']} threads: {row['different_results']} of "
            f"{row['repetitions']} repetitions differ in plain mode, "
            f"{row['different_results_deterministic']} in deterministic mode, "
            f"which takes {row['price']:.2f} times as long"
        )
    if options.output is not None:
        write_text(options.output, to_json({**machine(), "rows": rows}))


def measure(options: Any, threads: int) -> dict[str, Any]:
    """Times and differences of one crystal with so many threads."""
    torch.set_num_threads(threads)
    atoms = bulk("Si", cubic=True, a=5.43).repeat(options.repeat)
    atoms.rattle(0.05, seed=0)
    calculator = PotentialCalculator(
        POTENTIAL, device=options.device, dtype="float32", compile=False
    )
    found: dict[bool, list[bytes]] = {False: [], True: []}

    def evaluate(deterministic: bool) -> None:
        torch.use_deterministic_algorithms(deterministic)
        try:
            calculator.calculate(atoms, ["forces"])
        finally:
            torch.use_deterministic_algorithms(False)
        results = (calculator.results[name] for name in ("energy", "forces", "stress"))
        found[deterministic].append(b"".join(np.asarray(value).tobytes() for value in results))

    evaluate(False)
    times = in_turns(
        {
            "plain": lambda: sample(lambda: evaluate(False)),
            "deterministic": lambda: sample(lambda: evaluate(True)),
        },
        options.rounds,
    )
    return {
        "potential": POTENTIAL,
        "device": options.device,
        "atoms": len(atoms),
        "threads": threads,
        "repetitions": options.rounds,
        "different_results": sum(value != found[False][0] for value in found[False]),
        "different_results_deterministic": sum(value != found[True][0] for value in found[True]),
        "price": times["deterministic"]["cpu_min_ms"] / times["plain"]["cpu_min_ms"],
        **times,
    }


if __name__ == "__main__":
    main()
