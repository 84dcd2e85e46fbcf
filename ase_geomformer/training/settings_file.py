"""Settings of a training on disk."""

from __future__ import annotations

from argparse import ArgumentError
from dataclasses import asdict, fields
from pathlib import Path

import yaml

from ase_geomformer.training.settings import CardSettings, TrainSettings

# What may change without changing the result.
FREE = frozenset(
    {"run.progress", "run.minutes", "run.checkpoint_minutes", "run.accelerator"}
    | {f"card.{entry.name}" for entry in fields(CardSettings)}
)


def to_yaml(settings: TrainSettings) -> str:
    """The settings as YAML for ``ase-geomformer train``."""
    return str(yaml.safe_dump(asdict(settings), sort_keys=False, allow_unicode=True))


def from_yaml(path: Path) -> TrainSettings:
    """The settings of a YAML file for ``ase-geomformer train``.

    Raises
    ------
    ValueError
        If one is unknown or impossible.
    """
    from jsonargparse import ArgumentParser

    from ase_geomformer.settings.parser import instantiate

    parser = ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(TrainSettings, as_group=False)
    try:
        found = instantiate(parser, parser.parse_path(str(path)))
    except ArgumentError as error:
        raise ValueError(f"{path}: {error}") from error
    return TrainSettings(**{entry.name: found[entry.name] for entry in fields(TrainSettings)})
