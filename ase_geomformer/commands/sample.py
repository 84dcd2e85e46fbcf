"""``ase-geomformer sample``."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from ase_geomformer.commands import options as common
from ase_geomformer.learning.sample_settings import SampleSettings

if TYPE_CHECKING:
    from jsonargparse import ArgumentParser, Namespace

USAGE = "--structure FILE --output FRAMES.extxyz [OPTION ...]"
DESCRIPTION = (
    "Structures around one, to be labelled: isolated atoms, thermal displacements along the normal "
    "modes of a rough force field, strained cells of crystals, and pairs of atoms at short "
    "distances. 'origin' tells how each was made. No calculator is needed; for structures from "
    "dynamics use md."
)


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the options."""
    group = parser.add_argument_group("Input and output")
    group.add_argument(
        "--structure", required=True, metavar="FILE", help="File in any format that ASE reads."
    )
    group.add_argument("--index", default="-1", help="Frame to read, as in ase.io.read.")
    group.add_argument(
        "--output", required=True, metavar="FILE", help="File of the structures, extended XYZ."
    )
    group.add_argument(
        "--overwrite", type=bool, default=False, help="Overwrite the file if it exists."
    )
    parser.add_class_arguments(SampleSettings, as_group=True)


def run(options: Namespace) -> int:
    """Do what the options say and return the exit code."""
    settings = common.settings_of(options, SampleSettings)
    from ase_geomformer.learning.frames_file import new_file, write_structures
    from ase_geomformer.learning.sampling import sample

    path = new_file(options.output, overwrite=options.overwrite)
    found = sample(common.single_structure(options, "sample"), settings)
    for origin, structures in found.items():
        for atoms in structures:
            atoms.info["origin"] = origin
    write_structures(path, [atoms for structures in found.values() for atoms in structures])
    parts = ", ".join(f"{len(structures)} {origin}" for origin, structures in found.items())
    sys.stdout.write(f"{path}: {parts}\n")
    return 0
