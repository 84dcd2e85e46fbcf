"""What every peer's process does: take a structure, then time steps; see ../inference.py.

Runs in the peer's environment and imports nothing of ours.
"""

import json
import sys
import time

import numpy as np


def by_calculator(calculator):
    """What prepares steps of a peer that has an ASE calculator: forces of positions."""
    from ase import Atoms

    def prepare(numbers, cell):
        atoms = Atoms(numbers, cell=cell, pbc=cell is not None, calculator=calculator)

        def step(positions):
            atoms.positions = positions
            return atoms.get_forces()

        return step

    return prepare


def serve(version, prepare):
    """Answer on standard output; ``prepare(numbers, cell or None)`` gives a step of positions.

    ``start_cpu_s`` is what the process has taken so far: imports, and making the model.
    """
    print(json.dumps({"version": version, "start_cpu_s": time.process_time()}), flush=True)
    step = None
    for line in sys.stdin:
        question = json.loads(line)
        if question:
            positions, scale = np.array(question["positions"]), question["step_A"]
            cell = np.array(question["cell"]) if question["pbc"] else None
            step = prepare(np.array(question["numbers"]), cell)
            rng = np.random.default_rng(1)
            print(json.dumps({}), flush=True)
            continue
        positions = positions + rng.normal(scale=scale, size=positions.shape)
        wall, cpu = time.perf_counter(), time.process_time()
        step(positions)
        times = {"wall_s": time.perf_counter() - wall, "cpu_s": time.process_time() - cpu}
        print(json.dumps(times), flush=True)
