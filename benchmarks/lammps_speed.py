"""Speed and memory of LAMMPS on several processes, beside the ASE calculator.

Crystals of silicon at 600 K and constant energy. Processor seconds of a step and process, least of
all turns of a few steps. A process that waits for others computes on (MPI spins), so that the time
in messages is measured by itself: on a machine that others use, or with more processes than cores,
it is mostly waiting.

    python benchmarks/lammps_speed.py --table strong --output docs/benchmarks/lammps-speed.json
    python benchmarks/lammps_speed.py --table compiled --output docs/benchmarks/lammps-speed.json
    python benchmarks/lammps_speed.py --table weak --output docs/benchmarks/lammps-speed.json
    python benchmarks/lammps_speed.py --output docs/benchmarks/lammps-speed.json \\
        --page docs/engines.md --table

Of what was measured before, and is in the JSON file, the least times stay.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from argparse import ArgumentParser
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ase import Atoms, units
from ase.build import bulk
from ase.md.velocitydistribution import thermalize_momenta
from ase.md.verlet import VelocityVerlet
from engines_lammps import box_of
from marked import with_table
from timing import machine

from ase_geomformer import PotentialCalculator
from ase_geomformer.accuracy.readme.markdown import table
from ase_geomformer.engines.lammps import attach
from ase_geomformer.machine.files import write_text
from ase_geomformer.runs.plain import to_json

Row = dict[str, Any]
POTENTIAL = "so3krates-mlearn-si"
ASE = 0  # processes of a row of the ASE calculator
# Cubic cells along each axis, processes and whether compiled code is used.
STRONG = [((8, 8, 8), processes, False) for processes in (ASE, 1, 2)]
COMPILED = [((8, 8, 8), processes, True) for processes in (ASE, 1)]
WEAK = [((5, 5, 5), 1, False), ((10, 5, 5), 2, False), ((10, 10, 5), 4, False)]
TABLES = {"strong": STRONG, "compiled": COMPILED, "weak": WEAK}
TEMPERATURE_K = 600.0


def main() -> None:
    """Measure, and write JSON and the tables of the page."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--table", nargs="*", choices=TABLES, default=list(TABLES))
    parser.add_argument("--turns", type=int, default=4)
    parser.add_argument("--steps", type=int, default=3, help="of a turn")
    parser.add_argument("--output", type=Path, required=True, help="JSON file to write")
    parser.add_argument("--page", type=Path, help="page to write the tables into")
    parser.add_argument("--one", help="for processes of this script: a row to measure, as JSON")
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.one is not None:
        one(json.loads(options.one), options)
        return
    found = {**machine("lammps", "mpich", "mpi4py"), "potential": POTENTIAL, "rows": []}
    if options.output.exists():
        found["rows"] = json.loads(options.output.read_text(encoding="utf-8"))["rows"]
    for name in options.table:
        for cells, processes, compiled in TABLES[name]:
            row = {"cells": list(cells), "processes": processes, "compiled": compiled}
            found["rows"] = merged(found["rows"], measured(row, options))
            print(found["rows"][-1])
            write_text(options.output, to_json(found))
    if options.page is not None:
        page = options.page.read_text(encoding="utf-8")
        page = with_table(page, "benchmarks/lammps_speed.py: strong", strong(found["rows"]))
        page = with_table(page, "benchmarks/lammps_speed.py: weak", weak(found["rows"]))
        write_text(options.page, page)


def measured(row: Row, options: Any) -> Row:
    """A row, measured in processes of its own."""
    launcher = [str(Path(sys.prefix) / "bin" / "mpiexec"), "-n", str(row["processes"])]
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "row.json"
        command = [sys.executable, __file__, "--output", str(target), "--one", json.dumps(row)]
        command += ["--turns", str(options.turns), "--steps", str(options.steps)]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        whole = command if row["processes"] == ASE else [*launcher, *command]
        subprocess.run(whole, check=True, env=environment)
        found: Row = json.loads(target.read_text(encoding="utf-8"))
    return found


def merged(rows: list[Row], new: Row) -> list[Row]:
    """The rows with a new one in the place of an older one, the least times of both kept."""
    kept = []
    for row in rows:
        if _key(row) == _key(new):
            new = {
                **new,
                **{name: min(row[name], new[name]) for name in new if name.endswith("_s")},
            }
        else:
            kept.append(row)
    return [*kept, new]


def _key(row: Row) -> tuple[Any, ...]:
    return *row["cells"], row["processes"], row["compiled"]


def one(row: Row, options: Any) -> None:
    """Measure a row in this process, or in all of mpiexec's."""
    atoms = bulk("Si", cubic=True) * row["cells"]
    atoms.rattle(0.03, seed=1)
    before = peak_MB()
    measure = of_ase if row["processes"] == ASE else of_lammps
    turns, more = measure(atoms, row, options)
    step, messages = np.min(np.array(turns) / options.steps, axis=0)
    own = {"step_s": float(step), "messages_s": float(messages), "memory_MB": peak_MB() - before}
    if row["processes"] > 1:
        from mpi4py import MPI

        # The slowest process, and the one with the most memory.
        gathered = MPI.COMM_WORLD.allgather(own)
        own = {name: max(each[name] for each in gathered) for name in own}
        # What the slowest process computes, apart from waiting.
        own["computing_s"] = max(each["step_s"] - each["messages_s"] for each in gathered)
        if MPI.COMM_WORLD.rank:
            return
    else:
        own["computing_s"] = own["step_s"]
    write_text(options.output, to_json({**row, "atoms": len(atoms), **own, **more}))


def of_ase(atoms: Atoms, row: Row, options: Any) -> tuple[list[Sequence[float]], Row]:
    """Steps by ASE and the calculator."""
    atoms.calc = PotentialCalculator(POTENTIAL, dtype="float32", compile=row["compiled"])
    thermalize_momenta(atoms, TEMPERATURE_K)
    dynamics = VelocityVerlet(atoms, timestep=units.fs)
    dynamics.run(1)
    turns: list[Sequence[float]] = []
    for _ in range(options.turns):
        start = time.process_time()
        dynamics.run(options.steps)
        turns.append((time.process_time() - start, 0.0))
    return turns, {}


def of_lammps(atoms: Atoms, row: Row, options: Any) -> tuple[list[Sequence[float]], Row]:
    """Steps by LAMMPS on all processes, and the ghosts of the first one."""
    lmp, symbols = box_of(atoms)
    attached = attach(lmp, POTENTIAL, symbols, dtype="float32", compile=row["compiled"])
    spent = timed_messages(attached.evaluator.messenger)
    lmp.commands_list([
        f"velocity all create {TEMPERATURE_K} 1 loop geom",
        "fix move all nve",
        "timestep 0.001",
        "run 1",
    ])  # fmt: skip
    turns: list[Sequence[float]] = []
    for _ in range(options.turns):
        start, spent[0] = time.process_time(), 0.0
        lmp.command(f"run {options.steps} pre no post no")
        turns.append((time.process_time() - start, spent[0]))
    more = {"atoms_of_process": lmp.extract_setting("nlocal"), "ghosts": attached.num_ghosts}
    lmp.close()
    return turns, more


def timed_messages(messenger: Any) -> list[float]:
    """Processor seconds in messages from now on, in a list of one."""
    spent, send = [0.0], messenger.all_to_all

    def timed(*arguments: Any, **keywords: Any) -> Any:
        start = time.process_time()
        try:
            return send(*arguments, **keywords)
        finally:
            spent[0] += time.process_time() - start

    messenger.all_to_all = timed
    return spent


def peak_MB() -> float:
    """The most memory that this process has had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000.0


def strong(rows: list[Row]) -> str:
    """One crystal: the calculator, one process and two."""
    body = []
    rows_of_page = dict.fromkeys((cells, compiled) for cells, _, compiled in STRONG + COMPILED)
    for cells, compiled in rows_of_page:
        of = {row["processes"]: row for row in rows if _key(row)[:3] == cells
              and row["compiled"] == compiled}  # fmt: skip
        if ASE not in of or 1 not in of:
            continue
        calculator, single, double = of[ASE], of[1], of.get(2)
        body.append([
            f"{single['atoms']}" + (", compiled" if compiled else ""),
            f"{calculator['step_s']:.3f}",
            f"{single['step_s']:.3f}",
            f"**{single['step_s'] / calculator['step_s']:.2f}**",
            "" if double is None else f"{double['step_s']:.3f}",
            "" if double is None else f"**{single['step_s'] / double['step_s']:.2f}**",
            "" if double is None else str(double["ghosts"]),
            ", ".join(f"{row['memory_MB']:.0f}" for row in (calculator, single, double) if row),
        ])  # fmt: skip
    heads = (
        "atoms", "ASE calculator (s)", "LAMMPS, 1 process", "1 process / ASE", "2 processes",
        "gain by the second", "ghosts of each", "memory of a process (MB)",
    )  # fmt: skip
    return table(heads, body)


def weak(rows: list[Row]) -> str:
    """As many atoms for each process."""
    body = []
    for cells, processes, compiled in WEAK:
        for row in rows:
            if _key(row) == (*cells, processes, compiled):
                body.append([
                    str(processes), str(row["atoms"]), str(row["ghosts"]),
                    f"**{row['computing_s']:.3f}**", f"{row['messages_s']:.3f}",
                    f"{row['memory_MB']:.0f}",
                ])  # fmt: skip
    heads = (
        "processes", "atoms", "ghosts of each", "computing (s)", "in messages (s)",
        "memory of a process (MB)",
    )  # fmt: skip
    return table(heads, body)


if __name__ == "__main__":
    main()
