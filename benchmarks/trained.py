"""Trainings of benchmarks, which are made once and found again."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console

from ase_geomformer.machine.files import write_text
from ase_geomformer.runs.folder import RESULT_FILE
from ase_geomformer.training.run import train
from ase_geomformer.training.settings_file import from_yaml


def trained(runs: Path, slug: str, content: Mapping[str, Any]) -> Path:
    """The folder of a training, which is made or resumed unless it has ended.

    Parameters
    ----------
    runs : path
        Folder of the trainings and their settings.
    slug : str
        Name of the training in it.
    content : mapping
        Settings, as ``train.yaml`` has them.
    """
    folder, settings = runs / slug, runs / f"{slug}.yaml"
    write_text(settings, yaml.safe_dump(dict(content), sort_keys=False))
    if not (folder / RESULT_FILE).exists():
        Console().print(f"[bold]{content['name']}[/]: {folder}")
        train(from_yaml(settings), folder, resume=folder.exists())
    return folder
