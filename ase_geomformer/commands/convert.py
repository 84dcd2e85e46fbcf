"""``ase-geomformer convert``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from ase_geomformer.commands import options as common

if TYPE_CHECKING:
    from jsonargparse import ArgumentParser, Namespace

    from ase_geomformer.potential import Potential

USAGE = "so3lr PATH --output DIR [OPTION ...]"
DESCRIPTION = (
    "Turn a published checkpoint into a potential's folder. 'so3lr' takes the params.pkl of the "
    "so3lr package, which is read without running anything in it, or the same parameters as "
    "safetensors. DIR is then a potential: give it as --potential."
)


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("kind", choices=list(KINDS), help="what the checkpoint is of")
    parser.add_argument("path", metavar="PATH", help="checkpoint, or the folder it lies in")
    parser.add_argument(
        "--hyperparameters", type=str | None, default=None, metavar="FILE",
        help="hyperparameters.json of the checkpoint; the one beside it when left out",
    )  # fmt: skip
    parser.add_argument(
        "--long_range_cutoff", type=float | None, default=12.0, metavar="RADIUS",
        help="of electrostatics and dispersion in Å, null for none; it can be changed whenever "
        "the potential is loaded",
    )  # fmt: skip
    common.add_output(parser, required=True)


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
    from ase_geomformer.checkpoint.folder import save_potential
    from ase_geomformer.convert.so3lr import golden_structures, so3lr, so3lr_card

    cutoff = options.long_range_cutoff
    potential = so3lr(options.path, options.hyperparameters, long_range_cutoff=cutoff)
    save_potential(potential, folder, so3lr_card(folder.name), golden_structures(cutoff))
    return potential


KINDS = {"so3lr": _so3lr}
