"""Everything about speed on a GPU, in one command of less than eight minutes.

From the root of a checkout, on a machine with CUDA:

    python benchmarks/gpu.py --output gpu.json --table gpu.md

Neighbour lists; steps of three architectures, plain, compiled in the process as a CUDA graph, and
compiled ahead of time; how often the host waits for the device in a step; up to a million atoms;
training steps. What there is no time left for is named in the table, as is what fails.
``--dry`` does a little of each on the CPU, to see that the script runs.
"""

from __future__ import annotations

import time
import warnings
from argparse import ArgumentParser
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from ase import Atoms
from cases import cases, crystal, potential
from gpu_training import ethanol_settings
from neighbors import CUTOFF, gas
from timing import machine
from training_step import measure as train

from ase_geomformer import PotentialCalculator
from ase_geomformer.acceleration import Artifact, CompiledPotential
from ase_geomformer.acceleration.build import build
from ase_geomformer.machine.files import write_text
from ase_geomformer.neighbors import BACKENDS, neighbor_list
from ase_geomformer.runs.plain import to_json

Row = dict[str, Any]
STEP_A = 0.003
# Seconds that compiling is expected to take at most: in the process, ahead of time, a training.
IN_PROCESS, AHEAD, TRAINING = 100, 160, 60
# Of the crystal of copper, cubed: four atoms in a cell.
LARGE = "so3krates-mlearn-cu"


@dataclass
class Plan:
    """What is measured, on which device, and for how long.

    Attributes
    ----------
    device : torch.device
    dry : bool
        A little of each, without compiling.
    seconds : float
        For all of it.
    rows : list of dict
        What has been measured.
    """

    device: torch.device
    dry: bool = False
    seconds: float = 450.0
    rows: list[Row] = field(default_factory=list)
    started: float = field(default_factory=time.perf_counter)

    @property
    def left(self) -> float:
        """Seconds left."""
        return self.seconds - (time.perf_counter() - self.started)

    @contextmanager
    def row(self, part: str, needs: float = 10.0, **what: Any) -> Iterator[Row]:
        """A row to fill; says why if it cannot be. Check ``"note" in row`` before work begins."""
        row: Row = {"part": part, **what}
        if self.left < needs:
            row["note"] = f"left out: {max(self.left, 0.0):.0f} s left, {needs:.0f} needed"
        try:
            yield row
        except Exception as error:  # of CUDA, compilers, missing packages: the rest still counts
            row["note"] = f"{type(error).__name__}: {str(error).splitlines()[0][:160]}"
        self.rows.append(row)

    def least_ms(self, call: Callable[[], object], rounds: int) -> float:
        """Least wall-clock time of a call, the device's work included."""
        rounds, times = 2 if self.dry else rounds, []
        for _ in range(rounds):
            self.wait()
            start = time.perf_counter()
            call()
            self.wait()
            times.append(time.perf_counter() - start)
        return 1e3 * min(times)

    def seconds_of(self, call: Callable[[], object]) -> float:
        """Wall-clock time of one call."""
        start = time.perf_counter()
        call()
        self.wait()
        return time.perf_counter() - start

    def wait(self) -> None:
        """Let the device finish."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

    def host_waits(self, call: Callable[[], object]) -> int | None:
        """How often the host waits for the device in a call; None without one."""
        if self.device.type != "cuda":
            return None
        torch.cuda.set_sync_debug_mode("warn")
        try:
            with warnings.catch_warnings(record=True) as told:
                warnings.simplefilter("always")
                call()
        finally:
            torch.cuda.set_sync_debug_mode("default")
        return sum("synchroniz" in str(warning.message) for warning in told)


def main() -> None:
    """Measure, print the table, and write it and JSON."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cuda", help="cuda[:N]")
    parser.add_argument("--minutes", type=float, default=7.5, help="for all of it")
    parser.add_argument("--dry", action="store_true", help="a little of each, on the CPU")
    parser.add_argument("--output", type=Path, help="JSON file to write")
    parser.add_argument("--table", type=Path, help="markdown file to write")
    options = parser.parse_args()
    device = torch.device("cpu" if options.dry else options.device)
    if device.type == "cuda" and not torch.cuda.is_available():
        parser.error("there is no CUDA device here; try --dry")
    plan = Plan(device, options.dry, 60.0 * options.minutes)
    for part in PARTS:
        part(plan)
        for row in plan.rows:
            row.setdefault("at_s", round(time.perf_counter() - plan.started, 1))
    content = {**machine("vesin"), "device": name_of(device), "rows": plan.rows}
    text = table(content)
    print(text)
    if options.output is not None:
        write_text(options.output, to_json(content))
    if options.table is not None:
        write_text(options.table, text)


def lists(plan: Plan) -> None:
    """Neighbour lists of a gas by every backend that works on the device."""
    for number in (100,) if plan.dry else (1000, 10_000, 100_000, 1_000_000):
        atoms = gas(number)
        positions, cell = (
            torch.from_numpy(array.copy()).to(plan.device)
            for array in (atoms.positions, atoms.cell.array)
        )
        pbc = torch.from_numpy(atoms.pbc.copy()).to(plan.device)
        for name in ("torch", "vesin", "nvalchemi"):
            with plan.row("neighbour list", atoms=number, kind=name) as row:
                if "note" not in row and not BACKENDS[name].available:
                    row["note"] = "not installed"
                if "note" in row:
                    continue
                search = partial(neighbor_list, positions, cell, pbc, CUTOFF, backend=name)
                row["first_s"] = plan.seconds_of(search)
                row["ms"] = plan.least_ms(search, 10)


def plain_steps(plan: Plan) -> None:
    """Steps of an ASE calculator, nothing compiled."""
    for name, structure, atoms in systems(plan):
        with plan.row("step", potential=name, structure=structure, kind="plain") as row:
            if "note" not in row:
                fill(plan, row, calculator(name, plan), atoms)


def compiled_steps(plan: Plan) -> None:
    """The same, compiled in the process and captured as a CUDA graph."""
    kind = "compiled in the process"
    for name, structure, atoms in systems(plan):
        with plan.row("step", IN_PROCESS, potential=name, structure=structure, kind=kind) as row:
            if "note" not in row:
                made = calculator(name, plan)
                backend = "eager" if plan.dry else "inductor"  # eager only pads
                function = CompiledPotential(made.potential, backend=backend)
                made.prepared.function = function
                fill(plan, row, made, atoms)
                if not function.compilations:
                    row["note"] = "could not be compiled"


def steps_ahead(plan: Plan) -> None:
    """The same, compiled ahead of time for any number of atoms."""
    (name, structure, atoms), *_ = systems(plan)
    kind = "compiled ahead of time"
    with (
        plan.row("step", AHEAD, potential=name, structure=structure, kind=kind) as row,
        TemporaryDirectory() as folder,
    ):
        if plan.dry and "note" not in row:
            row["note"] = "left out of a dry run"
        if "note" not in row:
            made, file = calculator(name, plan), Path(folder) / "potential.so"
            row["build_s"] = plan.seconds_of(lambda: build(made.potential, file))
            made.prepared.function = Artifact(file, made.potential)
            fill(plan, row, made, atoms)


def large(plan: Plan) -> None:
    """Up to a million atoms of copper: time and memory of a step, neighbour list included."""
    for repeats in (2,) if plan.dry else (14, 29, 63):
        with plan.row("large", 20, potential=LARGE, atoms=4 * repeats**3, kind="plain") as row:
            if "note" in row:
                continue
            made = PotentialCalculator(LARGE, device=str(plan.device), dtype="float32", skin=0.0)
            atoms = crystal("Cu", repeats)
            if plan.device.type == "cuda":
                torch.cuda.reset_peak_memory_stats(plan.device)
            row["first_s"] = plan.seconds_of(partial(made.get_property, "forces", atoms))
            row["ms"] = plan.least_ms(mover(made, atoms), 2)
            if plan.device.type == "cuda":
                row["peak_GB"] = torch.cuda.max_memory_allocated(plan.device) / 1e9


def training_steps(plan: Plan) -> None:
    """Training steps of So3krates on ethanol, with Muon, plain and compiled."""
    with TemporaryDirectory() as folder:
        settings = ethanol_settings(Path(folder), frames=24 if plan.dry else 200)
        for compiled in (False,) if plan.dry else (False, True):
            kind = "compiled in the process" if compiled else "plain"
            needs = TRAINING if compiled else 15
            with plan.row("training step", needs, structure="ethanol", kind=kind) as row:
                if "note" not in row:
                    steps = 2 if plan.dry else 50
                    found = train("so3krates", settings, "muon", compiled, steps, plan.device)
                    row |= {"first_s": found.first_step_s, "ms": found.step_ms}
                    row["frames_per_s"] = found.frames_per_s


# In the order of how much they tell for their time.
PARTS = (lists, plain_steps, large, training_steps, compiled_steps, steps_ahead)


def systems(plan: Plan) -> list[tuple[str, str, Atoms]]:
    """Architectures with the structures to time them on, in the order of interest."""
    wanted = {"so3krates": ["ethanol"]}
    if not plan.dry:
        wanted = {"so3krates": ["Si512", "ethanol", "Si4096"]}
        wanted |= {"est": ["Si512"], "geomformer": ["Si512"]}
    return [(name, it, cases([it])[it]) for name, many in wanted.items() for it in many]


def calculator(name: str, plan: Plan) -> PotentialCalculator:
    """Random weights in the size of SO3LR: speed does not depend on them."""
    device = str(plan.device)
    return PotentialCalculator(potential(name), device=device, dtype="float32", compile=False)


def mover(made: PotentialCalculator, atoms: Atoms) -> Callable[[], object]:
    """A step: energy and forces of atoms that have moved a little."""
    moving = atoms.copy()
    moving.calc = made

    def step() -> object:
        moving.positions[0] += STEP_A
        return moving.get_forces()

    return step


def fill(plan: Plan, row: Row, made: PotentialCalculator, atoms: Atoms) -> None:
    """Time a step."""
    step = mover(made, atoms)
    row["first_s"] = plan.seconds_of(step)
    for _ in range(3):  # On a GPU the third call is the first that is played.
        step()
    row["ms"] = plan.least_ms(step, 20)
    row["host_waits"] = plan.host_waits(step)


def name_of(device: torch.device) -> str:
    """What the device is called."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else str(device)


COLUMNS = {
    "part": "", "potential": "", "structure": "", "atoms": ",", "kind": "", "build_s": ".0f",
    "first_s": ".2f", "ms": ".3g", "host_waits": "", "peak_GB": ".3g", "note": "",
}  # fmt: skip


def table(content: dict[str, Any]) -> str:
    """The rows in markdown, under where and when they were measured."""
    versions = ", ".join(f"{name} {number}" for name, number in content["versions"].items())
    lines = [f"{content['device']}, {content['date']}, {versions}.", ""]
    lines += ["| " + " | ".join(COLUMNS) + " |", "|" + " --- |" * len(COLUMNS)]
    for row in content["rows"]:
        cells = [
            "" if row.get(name) is None else format(row[name], style)
            for name, style in COLUMNS.items()
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
