"""Relaxing many structures at once, beside one after the other.

Rattled copies of a molecule, or of a crystal with its cell, are relaxed by relax_many and by relax
in turn, which must agree; the ratio of the times is what the batches gain. On a CPU the times are
those of the process, with one thread, so that others who work on the machine do not count. From the
root of a checkout:

    python benchmarks/relax_many.py --output docs/benchmarks/relax_many.json
"""

from __future__ import annotations

import platform
import time
from argparse import ArgumentParser
from dataclasses import fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ase import Atoms
from ase.build import bulk, molecule
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from ase_geomformer import PotentialCalculator
from ase_geomformer.evaluate import as_evaluator
from ase_geomformer.machine.devices import resolve_device
from ase_geomformer.machine.files import write_text
from ase_geomformer.recipes import RelaxManySettings, RelaxSettings, relax, relax_many
from ase_geomformer.runs.plain import to_json

# Potential, structure, displacement in Å, and what of the cell changes.
CASES: dict[str, tuple[str, Atoms, float, Any]] = {
    "ethanol": ("so3krates-rmd17-ethanol", molecule("CH3CH2OH"), 0.05, "none"),
    "silicon": ("so3krates-mlearn-si", bulk("Si", cubic=True), 0.1, "full"),
}


def main() -> None:
    """Measure, show a table, and write JSON."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--structures", type=int, default=200)
    parser.add_argument("--alone", type=int, help="relax so many one by one; all when left out")
    parser.add_argument("--in_flight", type=int, default=100)
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda[:N]")
    parser.add_argument("--output", type=Path, help="JSON file to write")
    options = parser.parse_args()
    if resolve_device(options.device).type == "cpu":
        torch.set_num_threads(1)
    rows = [measure(name, options) for name in options.cases]
    show(rows, options.device)
    if options.output is not None:
        write_text(options.output, to_json({**machine(options.device), "rows": rows}))


def measure(name: str, options: Any) -> dict[str, Any]:
    """Time both ways with one set of structures, and compare what they find."""
    potential, atoms, displacement, cell = CASES[name]
    structures = [atoms.copy() for _ in range(options.structures)]
    for seed, structure in enumerate(structures):
        structure.rattle(displacement, seed=seed)
    settings = RelaxManySettings(fmax=0.01, steps=300, cell=cell, in_flight=options.in_flight)
    single = RelaxSettings(**{e.name: getattr(settings, e.name) for e in fields(RelaxSettings)})
    evaluator = as_evaluator(potential, device=options.device, dtype="float64")
    calculator = PotentialCalculator(potential, device=options.device, dtype="float64")
    on_cpu = evaluator.calculator.parameters["device"] == "cpu"
    clock = time.process_time if on_cpu else time.perf_counter
    evaluator(structures[:2], ("forces",))  # what is done once in a process is not timed
    relax(structures[0], calculator, single, progress=False)
    start = clock()
    together = relax_many(structures, evaluator, settings, progress=False).results
    batched = clock() - start
    count = options.alone or options.structures
    start = clock()
    alone = [
        relax(structure, calculator, single, progress=False) for structure in structures[:count]
    ]
    serial = (clock() - start) / count
    pairs = list(zip(together, alone, strict=False))
    return {
        "case": name,
        "potential": potential,
        "atoms": len(atoms),
        "cell": cell,
        "structures": options.structures,
        "relaxed_alone": count,
        "steps": sum(found.steps for found in together),
        "converged": sum(found.converged for found in together),
        "together_s_per_structure": batched / options.structures,
        "alone_s_per_structure": serial,
        "ratio": serial / (batched / options.structures),
        "same_steps": sum(a.steps == b.steps for a, b in pairs),
        "largest_energy_difference_eV": max(abs(a.energy - b.energy) for a, b in pairs),
        "largest_position_difference_A": max(
            float(np.abs(a.atoms.positions - b.atoms.positions).max()) for a, b in pairs
        ),
    }


def show(rows: list[dict[str, Any]], device: str) -> None:
    """Print the figures as a table."""
    table = Table(title=f"Relaxations on {resolve_device(device)}", box=SIMPLE_HEAD)
    for heading in (
        "case", "structures", "converged", "steps", "alone (s each)", "together (s each)", "ratio",
        "energy difference (eV)",
    ):  # fmt: skip
        table.add_column(heading, justify="right")
    for row in rows:
        table.add_row(
            row["case"],
            str(row["structures"]),
            str(row["converged"]),
            str(row["steps"]),
            f"{row['alone_s_per_structure']:.3f}",
            f"{row['together_s_per_structure']:.3f}",
            f"{row['ratio']:.1f}",
            f"{row['largest_energy_difference_eV']:.1e}",
        )
    Console().print(table)


def machine(device: str) -> dict[str, Any]:
    """What the numbers were measured on."""
    place = resolve_device(device)
    name = torch.cuda.get_device_name(place) if place.type == "cuda" else platform.processor()
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "device": name or platform.machine(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
    }


if __name__ == "__main__":
    main()
