"""What the benchmarks of the shipped potentials share: trainings, frames and tables of rows."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from timing import machine

from ase_geomformer import list_potentials
from ase_geomformer.accuracy.readme.checks import CardCheck
from ase_geomformer.accuracy.readme.page import TRAINING_FILE
from ase_geomformer.checkpoint.folder import Card
from ase_geomformer.data.frames import Frame
from ase_geomformer.data.public.places import find_data_file
from ase_geomformer.data.readers import read_frames
from ase_geomformer.data.sources import DataSettings
from ase_geomformer.training.settings import TrainSettings
from ase_geomformer.training.settings_file import from_yaml

ROOT = Path(__file__).resolve().parent.parent


def shipped() -> dict[str, Path]:
    """Names and folders of the potentials of this checkout."""
    found = list_potentials()
    return {name: folder for name, folder in found.items() if folder.parent.parent == ROOT}


def training(folder: Path) -> TrainSettings:
    """How a potential was trained, with the paths of its data from the checkout's root."""
    settings = from_yaml(folder / TRAINING_FILE)
    test = settings.test_data
    return replace(
        settings, data=from_root(settings.data), test_data=None if test is None else from_root(test)
    )


def from_root(data: DataSettings) -> DataSettings:
    """Files found from the root of the checkout, by path or by name; absent ones stay as named."""
    return replace(data, path=[_from_root(path) for path in data.paths])


def _from_root(name: str) -> str:
    path = ROOT / name
    if path.is_file():
        return str(path)
    try:
        return str(find_data_file(name))
    except FileNotFoundError:
        return name


def absent(*sources: DataSettings) -> list[str]:
    """The files that are not there."""
    return [path for data in sources for path in data.paths if not Path(path).exists()]


def labelled(*sources: DataSettings) -> list[Frame]:
    """All frames of some data."""
    return [frame for data in sources for frame in read_frames(data)]


def today() -> str:
    """The date in ISO form."""
    return datetime.now(UTC).date().isoformat()


def merged(path: Path, row: dict[str, Any], *names: str) -> dict[str, Any]:
    """The rows of a JSON file with one in place of an older one of the same values of ``names``."""

    def key(entry: dict[str, Any]) -> list[Any]:
        return [entry[name] for name in names]

    rows = json.loads(path.read_text(encoding="utf-8"))["rows"] if path.exists() else []
    kept = [old for old in rows if key(old) != key(row)]
    return {**machine(), "rows": sorted([*kept, row], key=key)}


@dataclass(frozen=True)
class Shipped:
    """What is known of a potential.

    ``errors`` are those in its folder, ``found`` those of now by file of test frames, empty where
    the data are absent; ``deviation`` is the largest relative difference of the two.
    """

    folder: Path
    card: Card
    training: TrainSettings
    checks: Mapping[str, CardCheck]
    errors: Mapping[str, Any]
    found: Mapping[str, Mapping[str, Any]]
    deviation: float | None
