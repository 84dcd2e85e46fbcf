"""Compiled code: what making and loading it takes, and what a step takes with it and without.

python benchmarks/compiled_code.py --pairs so3krates-rmd17-ethanol:ethanol \\
    so3krates-mlearn-si:Si64 --output docs/benchmarks/compiled-code.json

Code that the cache holds is used, and its making is then not measured; for figures of that, name an
empty folder in $ASE_GEOMFORMER_CACHE.
"""

from __future__ import annotations

import resource
from argparse import ArgumentParser
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from ase import Atoms
from cases import CASES, cases
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from timing import Sample, clocked, in_turns, machine, sample

from ase_geomformer import PotentialCalculator
from ase_geomformer.acceleration import Artifact, CompiledPotential, find_artifact
from ase_geomformer.machine.files import write_text
from ase_geomformer.runs.plain import to_json
from ase_geomformer.runtime.prepared import PreparedPotential

STEP = 0.002  # Å, so that all neighbours stay within the skin


def main() -> None:
    """Measure, show a table, and write JSON."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", nargs="+", required=True, help="POTENTIAL:STRUCTURE ...")
    parser.add_argument("--in_process", action="store_true", help="also what compiled in a process")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--in_a_row", type=int, default=10)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--output", type=Path, help="JSON file to write")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    rows = []
    for pair in options.pairs:
        potential, _, structure = pair.partition(":")
        if structure not in CASES:
            parser.error(f"there is no structure {structure!r}; choose from {', '.join(CASES)}")
        atoms = cases([structure])[structure]
        kinds = calculators(potential, in_process=options.in_process)
        made = making(kinds["compiled"].prepared)
        timed = {kind: stepper(made_calc, atoms) for kind, made_calc in kinds.items()}
        for step in timed.values():
            step()
        times = in_turns(timed, options.rounds, options.in_a_row)
        errors = differences(kinds["plain"], kinds["compiled"], atoms)
        rows.append({"potential": potential, "structure": structure, **made, **errors, **times})
    show(rows)
    if options.output is not None:
        write_text(options.output, to_json({**machine("vesin"), "rows": rows}))


def calculators(potential: str, *, in_process: bool) -> dict[str, PotentialCalculator]:
    """One for each way to evaluate."""
    common = {"device": "cpu", "dtype": "float32"}
    kinds = {
        "plain": PotentialCalculator(potential, compile=False, **common),
        "compiled": PotentialCalculator(potential, compile=True, **common),
    }
    if in_process:
        kinds["in process"] = PotentialCalculator(potential, compile=False, **common)
        prepared = kinds["in process"].prepared
        prepared.function = CompiledPotential(prepared.potential)
    return kinds


def making(prepared: PreparedPotential) -> dict[str, float]:
    """What compiling takes in processor seconds, unless that was done before, and loading."""
    figures = {}
    if find_artifact(prepared.potential) is None:
        before = children()
        how, taken = clocked(prepared.ready)
        if how == "plain":
            raise SystemExit("the potential could not be compiled")
        figures["build_cpu_s"] = taken["cpu_s"] + children() - before
        figures["build_wall_s"] = taken["wall_s"]
    prepared.ready()
    artifact = find_artifact(prepared.potential)
    assert artifact is not None
    _, taken = clocked(lambda: Artifact(artifact.file, prepared.potential))
    return {**figures, "load_cpu_s": taken["cpu_s"], "size_bytes": artifact.file.stat().st_size}


def children() -> float:
    """Processor seconds of finished child processes, the C++ compiler's."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def stepper(calculator: PotentialCalculator, atoms: Atoms) -> Callable[[], Sample]:
    """A step: energy and forces of a new geometry."""
    moving = atoms.copy()
    moving.calc = calculator
    start, made = moving.positions.copy(), 0

    def step() -> Sample:
        nonlocal made
        made += 1
        moving.positions[:] = start
        moving.positions[0, 0] += STEP * (made % 7)
        return sample(moving.get_forces)

    return step


def differences(
    plain: PotentialCalculator, compiled: PotentialCalculator, atoms: Atoms
) -> dict[str, float]:
    """Largest difference between the two of a force component and of an atom's energy."""
    forces, energies = (
        abs(plain.get_property(name, atoms) - compiled.get_property(name, atoms)).max()
        for name in ("forces", "energies")
    )
    return {"forces_eV_per_A": float(forces), "energies_eV": float(energies)}


def show(rows: list[dict[str, Any]]) -> None:
    """Print the figures."""
    table = Table(box=SIMPLE_HEAD)
    for title in ("potential", "structure", "build (s)", "load (s)", "MB", "plain (ms)"):
        table.add_column(title)
    for title in ("compiled (ms)", "in process (ms)", "forces off (eV/Å)"):
        table.add_column(title)
    for row in rows:
        own = f"{row['in process']['cpu_min_ms']:.2f}" if "in process" in row else ""
        table.add_row(
            row["potential"],
            row["structure"],
            f"{row['build_cpu_s']:.0f}" if "build_cpu_s" in row else "",
            f"{row['load_cpu_s']:.3f}",
            f"{row['size_bytes'] / 1e6:.1f}",
            f"{row['plain']['cpu_min_ms']:.2f}",
            f"{row['compiled']['cpu_min_ms']:.2f}",
            own,
            f"{row['forces_eV_per_A']:.1e}",
        )
    Console().print(table)


if __name__ == "__main__":
    main()
