"""Compiled code: what making and loading it takes, and what a step takes with it and without.

python benchmarks/compiled_code.py --pairs so3krates-rmd17-ethanol:ethanol \\
    so3krates-mlearn-si:Si64 --output docs/benchmarks/compiled-code.json --page docs/performance.md

Code that the cache holds is used, and its making is then not measured; for figures of that, name an
empty folder in $ASE_GEOMFORMER_CACHE. Rows of other pairs in the JSON file stay, and so does what
was measured of a pair before and is not now. The page gets the table of all rows.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from argparse import ArgumentParser
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from ase import Atoms
from cases import CASES, cases
from marked import with_table
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from timing import Sample, clocked, in_turns, machine, sample

from ase_geomformer import PotentialCalculator
from ase_geomformer.acceleration import Artifact, CompiledPotential, find_artifact
from ase_geomformer.machine.files import write_text
from ase_geomformer.physics import boundaries_of
from ase_geomformer.runs.plain import to_json
from ase_geomformer.runtime.prepared import PreparedPotential

STEP = 0.002  # Å, so that all neighbours stay within the skin
# Where the table stands in the page.
TABLE = "benchmarks/compiled_code.py"
# Processor seconds of a new process until it has the first forces.
FIRST_USE = """
import time
from cases import cases
from ase_geomformer import PotentialCalculator
atoms = cases([{structure!r}])[{structure!r}]
atoms.calc = PotentialCalculator({potential!r}, device="cpu", dtype="float32", compile={compile!r})
atoms.get_forces()
print(time.process_time())
"""


def main() -> None:
    """Measure, show a table, and write JSON."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", nargs="+", required=True, help="POTENTIAL:STRUCTURE ...")
    parser.add_argument("--in_process", action="store_true", help="also what compiled in a process")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--in_a_row", type=int, default=10)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--output", type=Path, help="JSON file to write")
    parser.add_argument("--page", type=Path, help="page to write the table into, from all rows")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    rows = []
    for pair in options.pairs:
        potential, _, structure = pair.partition(":")
        if structure not in CASES:
            parser.error(f"there is no structure {structure!r}; choose from {', '.join(CASES)}")
        atoms = cases([structure])[structure]
        kinds = calculators(potential, in_process=options.in_process)
        # With long range there is code for each kind of boundaries.
        made = making(kinds["compiled"].prepared.fitting(boundaries_of(atoms)))
        timed = {kind: stepper(made_calc, atoms) for kind, made_calc in kinds.items()}
        for step in timed.values():
            step()
        times = in_turns(timed, options.rounds, options.in_a_row)
        errors = differences(kinds["plain"], kinds["compiled"], atoms)
        first = first_use(potential, structure, options.rounds)
        row = {"potential": potential, "structure": structure, "atoms": len(atoms)}
        rows.append({**row, **made, **first, **errors, **times})
        if options.output is not None:
            known = with_earlier(rows, options.output)
            write_text(options.output, to_json({**machine("vesin"), "rows": known}))
            if options.page is not None:
                text = options.page.read_text(encoding="utf-8")
                write_text(options.page, with_table(text, TABLE, as_table(known)))
    show(rows)


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


def first_use(potential: str, structure: str, rounds: int) -> dict[str, float]:
    """Processor seconds of a new process until it has forces, with compiled code and without."""
    found = {}
    for kind, compiled in (("first_plain_cpu_s", False), ("first_compiled_cpu_s", "auto")):
        script = FIRST_USE.format(potential=potential, structure=structure, compile=compiled)
        command = [sys.executable, "-c", script]
        here = Path(__file__).parent
        runs = [
            subprocess.run(command, cwd=here, check=True, capture_output=True, text=True)
            for _ in range(min(rounds, 3))
        ]
        found[kind] = min(float(run.stdout) for run in runs)
    return found


def with_earlier(rows: list[dict[str, Any]], file: Path) -> list[dict[str, Any]]:
    """The rows, and those in a file of other pairs, sorted."""
    found = {(row["potential"], row["structure"]): row for row in rows}
    if file.exists():
        for row in json.loads(file.read_text(encoding="utf-8"))["rows"]:
            key = row["potential"], row["structure"]
            found[key] = {**row, **found.get(key, {})}
    return [row for _, row in sorted(found.items())]


def as_table(rows: list[dict[str, Any]]) -> str:
    """The rows in Markdown."""
    columns = (
        "potential, atoms", "compiling (s)", "new process, plain", "compiled",
        "step, plain (ms)", "compiled", "compiled in the process", "ratio",
    )  # fmt: skip
    lines = [f"| {' | '.join(columns)} |", "|" + " --- |" * len(columns)]
    for row in rows:
        plain, compiled = (row[kind]["cpu_min_ms"] for kind in ("plain", "compiled"))
        cells = (
            f"`{row['potential']}`, {row['structure']}",
            figure(row.get("build_cpu_s"), ".0f"),
            figure(row.get("first_plain_cpu_s"), ".1f"),
            figure(row.get("first_compiled_cpu_s"), ".1f"),
            figure(plain, ".3g"),
            f"**{compiled:.3g}**",
            figure(row.get("in process", {}).get("cpu_min_ms"), ".3g"),
            f"{plain / compiled:.1f}",
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def figure(value: float | None, style: str) -> str:
    """A number, or nothing where there is none."""
    return "" if value is None else format(value, style)


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
