"""Training steps of one of our potentials, from random weights, by settings it shipped with.

python _ours.py TRAINING plain|compiled
"""

import sys
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from _steps import serve
from ase import Atoms
from rich.console import Console

from ase_geomformer.data.frames import Frame
from ase_geomformer.machine.allocator import keep_freed_memory
from ase_geomformer.training.dataset import GraphDataset
from ase_geomformer.training.initial import initial_potential
from ase_geomformer.training.loader import padded_size
from ase_geomformer.training.objective import CompiledObjective, Objective
from ase_geomformer.training.settings_file import from_yaml


def prepare(question):
    """Weights, and the loss of each batch."""
    frames = [
        Frame(Atoms(question["numbers"], positions), energy, np.array(forces))
        for batch in question["batches"]
        for positions, energy, forces in zip(
            batch["positions"], batch["energies"], batch["forces"], strict=True
        )
    ]
    size = len(frames) // len(question["batches"])
    settings = replace(settings_file, batches=replace(settings_file.batches, size=size))
    with TemporaryDirectory() as folder:
        potential, scale = initial_potential(settings, frames, Path(folder), Console(quiet=True))
    dataset = GraphDataset(frames, potential.cutoff)
    objective = Objective(potential, settings.loss, scale)
    if way == "compiled":
        padded = padded_size(dataset, settings.batches, 1)
        objective = CompiledObjective(potential, settings.loss, scale, **padded)
    weights = torch.tensor([t.weight for t in objective.targets.values()]).double()

    def loss_of(batch):
        return lambda: objective(batch, weights, objective.counts(batch)).loss

    starts = range(0, len(frames), size)
    batches = [dataset.batch(list(range(start, start + size))) for start in starts]
    return potential.parameters(), [loss_of(batch) for batch in batches]


training, way = sys.argv[1:]
keep_freed_memory()
settings_file = from_yaml(Path(__file__).parents[3] / "potentials" / training / "train.yaml")
serve(version("ase-geomformer"), prepare)
