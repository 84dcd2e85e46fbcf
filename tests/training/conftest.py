from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ase_geomformer.data.sources import DataSettings
from ase_geomformer.data.splits import SplitSettings
from ase_geomformer.training.settings import (
    BatchSettings,
    ModelSettings,
    OptimizerSettings,
    RunSettings,
    TrainSettings,
)

# About 3000 parameters: a step takes some milliseconds.
TINY = {
    "cutoff": 4.0,
    "num_features": 16,
    "num_layers": 1,
    "num_heads": 2,
    "degrees": [1, 2],
    "num_radial_basis": 8,
    "energy_width": 8,
    "avg_num_neighbors": 3.0,
}


@pytest.fixture(scope="session")
def h2co(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A hundred frames of formaldehyde at the B3LYP level, one in forty of those published."""
    path = tmp_path_factory.mktemp("data") / "h2co.npz"
    with np.load(shared / "data/h2co_b3lyp/h2co_b3lyp_4001.npz") as full:
        frames = len(full["E"])
        arrays = {key: full[key] for key in full}
    chosen = {
        key: value[::40] if value.shape[:1] == (frames,) else value for key, value in arrays.items()
    }
    np.savez(path, **chosen)
    return path


@pytest.fixture(scope="session")
def settings(h2co: Path) -> Callable[..., TrainSettings]:
    """Settings of a training that takes seconds; keywords change those of the run."""

    def make(
        *,
        split: dict[str, Any] | None = None,
        model: dict[str, Any] | None = None,
        optimizer: dict[str, Any] | None = None,
        batches: dict[str, Any] | None = None,
        changes: dict[str, Any] | None = None,
        **run: Any,
    ) -> TrainSettings:
        usual = {"steps": 24, "validate_every": 6, "progress": False, "accelerator": "cpu"}
        base = TrainSettings(
            name="h2co",
            data=DataSettings(str(h2co)),
            split=SplitSettings(**{"train": 50, "validation": 20, **(split or {})}),
            model=ModelSettings(**{"settings": TINY, **(model or {})}),
            optimizer=OptimizerSettings(
                **{"learning_rate": 5e-3, "warmup_steps": 5, **(optimizer or {})}
            ),
            batches=BatchSettings(**{"size": 10, **(batches or {})}),
            run=RunSettings(**{**usual, **run}),
        )
        return replace(base, **(changes or {}))

    return make
