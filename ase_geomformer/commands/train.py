"""``ase-geomformer train``."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from ase_geomformer.commands.arguments import add_figure_format
from ase_geomformer.commands.options import settings_of
from ase_geomformer.training.settings import TrainSettings

if TYPE_CHECKING:
    from jsonargparse import ArgumentParser, Namespace

USAGE = "CONFIG.yaml --output DIR [--resume] [OPTION ...]"
DESCRIPTION = (
    "Train a potential on labelled structures. Writes the settings, the split, logs, checkpoints "
    "and, at the end, a potential ready to use with its errors and figures. --resume continues an "
    "interrupted training from its last checkpoint, bit for bit. The exit code is 1 if the "
    "training was interrupted or diverged."
)


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the options."""
    group = parser.add_argument_group("Output")
    group.add_argument(
        "--output", type=str, required=True, metavar="DIR", help="Folder of the run."
    )
    group.add_argument("--resume", type=bool, default=False, help="Resume the run in DIR.")
    add_figure_format(group)
    parser.add_class_arguments(TrainSettings, as_group=False)


def run(options: Namespace) -> int:
    """Do what the options say and return the exit code."""
    return run_training(settings_of(options, TrainSettings), options)


def run_training(settings: TrainSettings, options: Namespace) -> int:
    """Train, say how it ended, and return the exit code."""
    from lightning.fabric.utilities.rank_zero import rank_zero_only

    from ase_geomformer.commands.evaluate import error_tables
    from ase_geomformer.machine.display import Console
    from ase_geomformer.training.module import TrainingDiverged
    from ase_geomformer.training.run import TrainingInterrupted, train

    # Of several processes, one speaks.
    write_error, write = rank_zero_only(sys.stderr.write), rank_zero_only(sys.stdout.write)
    try:
        result = train(settings, options.output, resume=options.resume)
    except (TrainingDiverged, TrainingInterrupted) as error:
        write_error(f"{error}\n")
        return 1
    if settings.run.progress:
        if result.evaluation is not None:
            console = Console(quiet=getattr(rank_zero_only, "rank", 0) != 0)
            console.print(error_tables(result.evaluation)[0])
        write(f"{result.reason}; {result.folder / 'potential'} is ready to use\n")
    return 0
