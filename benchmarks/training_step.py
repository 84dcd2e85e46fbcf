"""One training step without the trainer around it: for machines that are lent for minutes."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from rich.console import Console

from ase_geomformer.training.batch import LabelledGraph
from ase_geomformer.training.dataset import GraphDataset
from ase_geomformer.training.initial import initial_potential, read_parts
from ase_geomformer.training.loader import TrainingData, padded_size
from ase_geomformer.training.objective import CompiledObjective, Objective
from ase_geomformer.training.optimizers import OPTIMIZERS
from ase_geomformer.training.settings import TrainSettings


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
