"""Speed of the training step: plain and compiled, with AdamW and with Muon.

A step is what ``ase-geomformer train`` does between two batches: gather the batch, predict,
differentiate twice, clip, update the weights. From the root of a checkout with the data beside it:

    python benchmarks/training.py --steps 100 --output docs/benchmarks/training.json
"""

from __future__ import annotations

import platform
import statistics
import time
from argparse import ArgumentParser
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from ase_geomformer.machine.devices import resolve_device
from ase_geomformer.machine.files import write_text
from ase_geomformer.runs.plain import to_json
from ase_geomformer.training.batch import LabelledGraph
from ase_geomformer.training.dataset import GraphDataset
from ase_geomformer.training.initial import initial_potential, read_parts
from ase_geomformer.training.loader import TrainingData, padded_size
from ase_geomformer.training.objective import CompiledObjective, Objective
from ase_geomformer.training.optimizers import OPTIMIZERS
from ase_geomformer.training.settings import TrainSettings
from ase_geomformer.training.settings_file import from_yaml

# One entry for each architecture: the training of a potential that ships.
TRAININGS = {"so3krates": Path("potentials/so3krates-rmd17-ethanol/train.yaml")}
OPTIMIZER_KINDS = ("adamw", "muon")


@dataclass(frozen=True)
class Row:
    """Speed of one way to train; the first step includes compiling."""

    architecture: str
    optimizer: str
    compiled: bool
    batch_frames: int
    batch_atoms: int
    batch_edges: int
    first_step_s: float
    step_ms: float
    frames_per_s: float


def main() -> None:
    """Measure, show a table, and write JSON."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--architectures", nargs="+", choices=TRAININGS, default=list(TRAININGS))
    parser.add_argument("--steps", type=int, default=100, help="timed steps of each kind")
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda[:N]")
    parser.add_argument("--output", type=Path, help="JSON file to write")
    options = parser.parse_args()
    device = resolve_device(options.device)
    rows = []
    for name in options.architectures:
        settings = from_yaml(TRAININGS[name])
        for compiled, kind in product((False, True), OPTIMIZER_KINDS):
            rows.append(measure(name, settings, kind, compiled, options.steps, device))
    show(rows, device)
    if options.output is not None:
        write_text(options.output, to_json({**machine(device), "rows": rows}))


def measure(
    name: str, settings: TrainSettings, kind: str, compiled: bool, steps: int, device: torch.device
) -> Row:
    """Train for some steps and time them."""
    with TemporaryDirectory() as folder:
        fewer = replace(settings, test_data=None)
        parts, _ = read_parts(fewer, Path(folder) / "split.json")
        potential, scale = initial_potential(
            settings, parts["train"], Path(folder), Console(quiet=True)
        )
    dtype = getattr(torch, settings.run.dtype)
    dataset = GraphDataset(parts["train"], potential.cutoff, dtype=dtype)
    batches = endless(TrainingData(dataset, None, settings.batches, seed=0), device)
    potential.to(device)
    objective = Objective(potential, settings.loss, scale)
    if compiled:
        size = padded_size(dataset, settings.batches, 1)
        objective = CompiledObjective(potential, settings.loss, scale, **size)
    optimizer = OPTIMIZERS[kind](potential, settings.optimizer)
    weights = torch.tensor([t.weight for t in objective.targets.values()], device=device).double()
    times = []
    for _ in range(steps + 1):
        start = time.perf_counter()
        batch = next(batches)
        optimizer.zero_grad()
        objective(batch, weights, objective.counts(batch)).loss.backward()
        torch.nn.utils.clip_grad_norm_(potential.parameters(), settings.optimizer.clip_norm)
        optimizer.step()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        times.append(time.perf_counter() - start)
    step = statistics.median(times[1:])
    graph = batch.graph
    return Row(
        architecture=name,
        optimizer=kind,
        compiled=compiled,
        batch_frames=graph.num_structures,
        batch_atoms=graph.num_atoms,
        batch_edges=graph.num_edges,
        first_step_s=times[0],
        step_ms=1e3 * step,
        frames_per_s=graph.num_structures / step,
    )


def endless(data: TrainingData, device: torch.device) -> Iterator[LabelledGraph]:
    """Yield the batches of one epoch after another."""
    while True:
        for batch in data.train_loader:
            yield batch.to(device)


def show(rows: list[Row], device: torch.device) -> None:
    """Print the figures as a table."""
    title = f"Training steps on {device}, {torch.get_num_threads()} threads"
    table = Table(title=title, box=SIMPLE_HEAD)
    for heading in ("architecture", "optimizer", "step"):
        table.add_column(heading)
    for heading in ("atoms", "edges", "first (s)", "step (ms)", "frames/s"):
        table.add_column(heading, justify="right")
    for row in rows:
        table.add_row(
            row.architecture,
            row.optimizer,
            "compiled" if row.compiled else "plain",
            str(row.batch_atoms),
            str(row.batch_edges),
            f"{row.first_step_s:.1f}",
            f"{row.step_ms:.1f}",
            f"{row.frames_per_s:.0f}",
        )
    Console().print(table)


def machine(device: torch.device) -> dict[str, object]:
    """Where and when the figures were taken."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.processor()
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "device": name or platform.machine(),
        "threads": torch.get_num_threads(),
        "versions": {"python": platform.python_version(), "torch": torch.__version__},
    }


if __name__ == "__main__":
    main()
