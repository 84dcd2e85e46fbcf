"""``ase-geomformer train``."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING

from ase_geomformer.training.settings import TrainSettings

if TYPE_CHECKING:
    from jsonargparse import ArgumentParser, Namespace

USAGE = "CONFIG.yaml --output DIR [--resume] [OPTION ...]"
DESCRIPTION = (
    "Train a potential on labelled structures. DIR receives the settings, the split, logs, "
    "checkpoints and, at the end, a potential ready to use. --resume goes on after an "
    "interruption, exactly where the last checkpoint was written."
)


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the options."""
    group = parser.add_argument_group("results")
    group.add_argument("--output", required=True, metavar="DIR", help="folder of the run")
    group.add_argument("--resume", action="store_true", help="go on with the run in DIR")
    parser.add_class_arguments(TrainSettings, as_group=False)


def run(options: Namespace) -> int:
    """Do what the options say and return the exit code."""
    from ase_geomformer.training.run import train

    settings = TrainSettings(**{field.name: options[field.name] for field in fields(TrainSettings)})
    result = train(settings, options.output, resume=options.resume)
    return 0 if result.completed else 1
