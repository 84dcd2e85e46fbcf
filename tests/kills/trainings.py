"""Short trainings, for killing them."""

from __future__ import annotations

import atexit
import csv
import json
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import write

from tests.kills.work import Twice, Verb, counted

if TYPE_CHECKING:
    from ase_geomformer.training.settings import TrainSettings

TINY = {
    "cutoff": 3.0, "num_features": 16, "num_layers": 1, "num_heads": 2, "degrees": [1],
    "num_radial_basis": 8, "energy_width": 8, "avg_num_neighbors": 12.0,
}  # fmt: skip


def train() -> Verb:
    return _verb(lambda settings, folder: settings)


def finetune() -> Verb:
    """From a potential of random weights."""
    import torch

    from ase_geomformer import Potential
    from ase_geomformer.architectures import build
    from ase_geomformer.checkpoint.folder import Card, save_potential

    torch.manual_seed(0)
    given = _folder() / "given"
    save_potential(Potential(build("so3krates", TINY), ["Cu"]), given, Card("given"))

    def start(settings: TrainSettings, folder: Path) -> TrainSettings:
        return replace(settings, model=replace(settings.model, settings={}, start_from=str(given)))

    return _verb(start)


def _verb(change: Callable[[TrainSettings, Path], TrainSettings]) -> Verb:
    from ase_geomformer.data.sources import DataSettings
    from ase_geomformer.data.splits import SplitSettings
    from ase_geomformer.training import run
    from ase_geomformer.training.module import TrainingModule
    from ase_geomformer.training.settings import (
        BatchSettings,
        ModelSettings,
        OptimizerSettings,
        RunSettings,
        TrainSettings,
    )

    data = _folder() / "data.extxyz"
    write(data, [_labelled(seed) for seed in range(12)])
    settings = TrainSettings(
        name="killed",
        data=DataSettings(str(data)),
        split=SplitSettings(train=8, validation=4),
        model=ModelSettings(settings=TINY),
        optimizer=OptimizerSettings(learning_rate=5e-3, warmup_steps=2),
        batches=BatchSettings(size=4),
        # A checkpoint whenever it is asked for one: after every step.
        run=RunSettings(
            steps=6, validate_every=3, checkpoint_minutes=1e-6, progress=False, accelerator="cpu"
        ),
    )
    counted(TrainingModule, "training_step")
    return Verb(
        lambda folder: run.train(change(settings, folder), folder, resume=True), _outcome, 1
    )


def _outcome(folder: Path) -> Any:
    with (folder / "logs" / "metrics.csv").open(newline="") as file:
        rows = [{k: v for k, v in row.items() if v} for row in csv.DictReader(file)]
    seen = [(row["step"], *sorted(row)) for row in rows]
    if len(seen) != len(set(seen)):
        raise Twice(f"the log has the rows {seen}")
    result = json.loads((folder / "result.json").read_text())
    del result["provenance"]
    potential = {path.name for path in (folder / "potential").iterdir()}
    return rows, result, potential, (folder / "potential" / "model.safetensors").read_bytes()


def _labelled(seed: int) -> Atoms:
    atoms = bulk("Cu", cubic=True)
    atoms.rattle(0.1, seed=seed)
    atoms.calc = EMT()
    energy, forces = atoms.get_potential_energy(), atoms.get_forces()
    atoms.calc = SinglePointCalculator(atoms, energy=energy, forces=forces)
    return atoms


def _folder() -> Path:
    folder = Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder
