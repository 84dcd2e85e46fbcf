"""Relaxations of many small structures by local workers, beside one process.

Rattled copies of ethanol; the workers are Dask's, on this machine. Wall-clock time without the
start of the workers and their first evaluations, so that nothing else should run meanwhile.

    python benchmarks/workers.py --structures 1600 --output docs/benchmarks/workers.json
"""

from __future__ import annotations

import os
import time
from argparse import ArgumentParser
from pathlib import Path

import torch
from ase.build import molecule
from timing import machine

from ase_geomformer.cluster import on_cluster
from ase_geomformer.evaluate import as_evaluator
from ase_geomformer.machine.files import write_text
from ase_geomformer.recipes import RelaxManySettings, relax_many
from ase_geomformer.runs.plain import to_json

POTENTIAL = "so3krates-rmd17-ethanol"
SETTINGS = RelaxManySettings(fmax=0.02, steps=300)


def main() -> None:
    """Relax all in one process, then by workers, and compare."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--structures", type=int, default=1600)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--output", type=Path, help="JSON file to write")
    options = parser.parse_args()
    torch.set_num_threads(1)
    structures = [molecule("CH3CH2OH") for _ in range(options.structures)]
    for seed, atoms in enumerate(structures):
        atoms.rattle(0.05, seed=seed)
    few = structures[:8]
    evaluator = as_evaluator(POTENTIAL, dtype="float64", domain="ignore", compile=False)
    relax_many(few, evaluator, SETTINGS, progress=False)
    start, processor = time.perf_counter(), time.process_time()
    alone = relax_many(structures, evaluator, SETTINGS, progress=False)
    one = time.perf_counter() - start
    one_cpu = time.process_time() - processor
    with on_cluster(evaluator, f"local:{options.workers}") as many:
        for _ in range(4):
            relax_many(few * options.workers, many, SETTINGS, progress=False)
        start = time.perf_counter()
        found = relax_many(structures, many, SETTINGS, progress=False)
        several = time.perf_counter() - start
    result = {
        **machine("distributed"),
        "structures": options.structures,
        "workers": options.workers,
        "load_average": os.getloadavg()[0],
        "one_process_s": one,
        "one_process_cpu_s": one_cpu,
        "workers_s": several,
        "ratio": one / several,
        "converged": sum(each.converged for each in found.results),
        "largest_energy_difference_eV": max(
            abs(a.energy - b.energy) for a, b in zip(alone.results, found.results, strict=True)
        ),
    }
    print(result)
    if options.output is not None:
        write_text(options.output, to_json(result))


if __name__ == "__main__":
    main()
