"""``ase-geomformer finetune``."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ase_geomformer.commands import train
from ase_geomformer.commands.options import settings_of
from ase_geomformer.training.settings import TrainSettings

if TYPE_CHECKING:
    from jsonargparse import ArgumentParser, Namespace

USAGE = "--potential NAME CONFIG.yaml --output DIR [--resume] [OPTION ...]"
DESCRIPTION = (
    "Continue the training of a potential on other structures. CONFIG.yaml is that of 'train' "
    "without model.settings and model.terms, which are taken from the potential; model.freeze "
    "keeps parameters fixed. Reference energies are refitted to data of another level of theory, "
    "or given as model.reference_energies_eV. Files and exit code are those of 'train'."
)


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "--potential", required=True, metavar="NAME", help="Name or path of a potential."
    )
    train.add_arguments(parser)


def run(options: Namespace) -> int:
    """Do what the options say and return the exit code."""
    settings = settings_of(options, TrainSettings)
    model = replace(settings.model, start_from=options.potential)
    return train.run_training(replace(settings, model=model), options)
