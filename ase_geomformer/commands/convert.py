"""``ase-geomformer convert``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from ase_geomformer.commands import arguments

if TYPE_CHECKING:
    from jsonargparse import ArgumentParser, Namespace

    from ase_geomformer.potential import Potential

USAGE = "so3lr PATH --output DIR [OPTION ...]"
DESCRIPTION = (
    "Convert a published checkpoint to a potential's folder. 'so3lr' takes the params.pkl of the "
    "so3lr package with its hyperparameters.json, the so3lr.model of so3krates-torch or that "
    "package's wheel, the parameters as safetensors, or a folder that holds one of them. Nothing "
    "in them is run. DIR is then a potential: give it as --potential. 'ase-geomformer models get "
    "so3lr' downloads SO3LR and does the same."
)


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("kind", choices=list(KINDS), help="Kind of checkpoint.")
    parser.add_argument("path", metavar="PATH", help="Checkpoint, or the folder that holds it.")
    parser.add_argument(
        "--hyperparameters", type=str | None, default=None, metavar="FILE",
        help="hyperparameters.json of the checkpoint; by default the one beside it.",
    )  # fmt: skip
    parser.add_argument(
        "--long_range_cutoff", type=float | None, default=12.0, metavar="RADIUS",
        help="Cutoff of electrostatics and dispersion in Å, null for none; can be changed whenever "
        "the potential is loaded.",
    )  # fmt: skip
    arguments.add_output(parser, required=True, shown=None)


def run(options: Namespace) -> int:
    """Do what the options say and return the exit code."""
    from ase_geomformer.runs.folder import check_folder

    folder = check_folder(options.output, overwrite=options.overwrite)
    potential = KINDS[options.kind](options, folder)
    count = sum(parameter.numel() for parameter in potential.parameters())
    sys.stdout.write(
        f"{folder}: {potential.architecture.name} for {', '.join(potential.symbols)}, "
        f"{count:,} parameters\n"
    )
    return 0


def _so3lr(options: Namespace, folder: Path) -> Potential:
    from ase_geomformer.convert.so3lr import save_so3lr

    cutoff = options.long_range_cutoff
    return save_so3lr(options.path, folder, options.hyperparameters, long_range_cutoff=cutoff)


KINDS = {"so3lr": _so3lr}
