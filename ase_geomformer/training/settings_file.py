"""Settings of a run on disk, and whether a resumed run has the same."""

from __future__ import annotations

from argparse import ArgumentError
from collections.abc import Iterator, Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import yaml

from ase_geomformer.machine.bounded import read_yaml
from ase_geomformer.training.settings import TrainSettings

# What may change without changing the result.
FREE = frozenset({"run.progress", "run.checkpoint_minutes", "run.accelerator"})


def to_yaml(settings: TrainSettings) -> str:
    """The settings as a file that ``ase-geomformer train`` takes."""
    return str(yaml.safe_dump(asdict(settings), sort_keys=False, allow_unicode=True))


def from_yaml(path: Path) -> TrainSettings:
    """The settings in a file that ``ase-geomformer train`` takes.

    Raises
    ------
    ValueError
        If one is unknown or impossible.
    """
    from jsonargparse import ArgumentParser

    parser = ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(TrainSettings, as_group=False)
    # instantiate_classes is what jsonargparse called it before 4.49.
    instantiate = getattr(parser, "instantiate", None) or parser.instantiate_classes
    try:
        found = instantiate(parser.parse_path(str(path)))
    except ArgumentError as error:
        raise ValueError(f"{path}: {error}") from error
    return TrainSettings(**{entry.name: found[entry.name] for entry in fields(TrainSettings)})


def check_same(settings: TrainSettings, path: Path) -> None:
    """Refuse to resume a run with other settings than its own.

    Raises
    ------
    ValueError
        If one differs that the result depends on; the message names it.
    """
    stored = dict(_flat(read_yaml(path)))
    present = dict(_flat(yaml.safe_load(to_yaml(settings))))
    # A setting that the file does not know yet counts as not set.
    for name in sorted({*stored, *present} - FREE):
        then, now = stored.get(name), present.get(name)
        if then != now and (then or now):
            raise ValueError(
                f"cannot resume: {name} was {then!r} and is {now!r}; resume with {path}, or "
                "fine-tune the trained potential in a new folder"
            )


def _flat(content: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Every entry of nested mappings under its dotted name."""
    for key, value in content.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            yield from _flat(value, f"{name}.")
        else:
            yield name, value
