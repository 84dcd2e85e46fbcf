"""What the domain check and the uncertainty of the energy take, beside energy and forces.

    python benchmarks/confidence_speed.py NAME FILE [--repeat N] [--compile true]

Processor time of 100 steps, with geometry that changes at each; ways take turns, and the least of
several is told.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
import torch
from ase.io import read

from ase_geomformer import PotentialCalculator

STEPS = 100


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name")
    parser.add_argument("structure")
    parser.add_argument("--repeat", type=int, default=1, help="supercell, along each axis")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--compile", default="false", choices=["true", "false"])
    options = parser.parse_args()
    torch.set_num_threads(1)
    start = read(options.structure) * ([options.repeat] * 3)
    compiled = options.compile == "true"
    calculators = {
        "without": PotentialCalculator(options.name, domain="ignore", compile=compiled),
        "domain": PotentialCalculator(options.name, compile=compiled),
        "uncertainty": PotentialCalculator(options.name, domain="ignore", compile=compiled),
    }
    best = dict.fromkeys(calculators, np.inf)
    for _ in range(options.rounds + 1):
        for way, calculator in calculators.items():
            random, atoms = np.random.default_rng(0), start.copy()
            properties = ["forces"] + (["energy_uncertainty"] if way == "uncertainty" else [])
            begun = time.process_time()
            for _ in range(STEPS):
                atoms.positions += random.normal(scale=1e-3, size=(len(atoms), 3))
                calculator.calculate(atoms, properties, calculator.check_state(atoms))
            best[way] = min(best[way], time.process_time() - begun)
    for way, seconds in best.items():
        more = 100.0 * (seconds / best["without"] - 1.0)
        print(f"{options.name} {len(start)} {way}: {1000 * seconds / STEPS:.3f} ms, {more:+.1f} %")


if __name__ == "__main__":
    main()
