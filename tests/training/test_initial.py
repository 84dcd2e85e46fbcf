"""Start of a training: the size of a new architecture."""

from __future__ import annotations

import resource
from pathlib import Path
from typing import Any

import pytest
from ase.build import molecule

from ase_geomformer.data.frames import Frame
from ase_geomformer.data.sources import DataSettings
from ase_geomformer.machine.display import Console
from ase_geomformer.training import initial
from ase_geomformer.training.initial import initial_potential
from ase_geomformer.training.settings import ModelSettings, TrainSettings

HUGE: list[tuple[str, dict[str, Any]]] = [
    ("geomformer", {"num_features": 65_536, "num_blocks": 1000}),
    ("est", {"num_channels": 65_536, "num_layers": 1000}),
    ("so3krates", {"num_features": 65_536, "num_layers": 1000}),
]


def begin(architecture: str, settings: dict[str, Any], folder: Path) -> None:
    model = ModelSettings(architecture=architecture, settings=settings)
    water = molecule("H2O")
    frames = [Frame(water, energy=-14.0, forces=water.positions)]
    given = TrainSettings(name="water", data=DataSettings(path="water.xyz"), model=model)
    initial_potential(given, frames, folder, Console(quiet=True))


@pytest.mark.parametrize(("architecture", "settings"), HUGE)
def test_absurd_widths_are_refused_before_they_take_memory(
    architecture: str, settings: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(initial, "free_host_memory", lambda: 5e8)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(ValueError, match="larger than the free memory: .*smaller widths"):
        begin(architecture, settings, tmp_path)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 600_000  # kB
