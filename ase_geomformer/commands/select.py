"""``ase-geomformer select``."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from ase_geomformer.commands import options as common

if TYPE_CHECKING:
    from jsonargparse import ArgumentParser, Namespace

USAGE = "--structure FILE --number N --output FRAMES.extxyz [--potential A B] [OPTION ...]"
DESCRIPTION = (
    "Choose structures to label from many. With several potentials, such as the committee of "
    "learn, those with the largest spread of the forces are preferred; among these, or among all "
    "without a committee, the ones that differ most from one another and from those of --known: in "
    "distances of their atoms, or in the descriptors of a single potential. "
    "'max_forces_spread_eV_per_A' tells the spread."
)


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the options."""
    group = parser.add_argument_group("Input and output")
    group.add_argument(
        "--structure", required=True, metavar="FILE", help="File in any format that ASE reads."
    )
    group.add_argument("--index", default=":", help="Frames to read, as in ase.io.read.")
    group.add_argument(
        "--number", required=True, type=int, metavar="N", help="Number of structures to choose."
    )
    group.add_argument(
        "--known", type=str | None, default=None, metavar="FILE",
        help="File of structures that have labels already.",
    )  # fmt: skip
    group.add_argument(
        "--potential", type=list[str] | str | None, default=None, metavar="NAMES",
        help="Two or more potentials as A B, or a folder of several; one for its descriptors.",
    )  # fmt: skip
    group.add_argument(
        "--output", required=True, metavar="FILE", help="File of the structures, extended XYZ."
    )
    group.add_argument(
        "--overwrite", type=bool, default=False, help="Overwrite the file if it exists."
    )


def run(options: Namespace) -> int:
    """Do what the options say and return the exit code."""
    from ase_geomformer.learning.exploration import bare
    from ase_geomformer.learning.frames_file import new_file, write_structures
    from ase_geomformer.learning.select import select
    from ase_geomformer.runs.structures import read_structures

    if options.number < 1:
        raise ValueError(f"number = {options.number} must be at least 1")
    path = new_file(options.output, overwrite=options.overwrite)
    structures = [bare(atoms) for atoms in common.structures(options)]
    known = [] if options.known is None else read_structures(options.known)[0]
    chosen, spreads = select(structures, options.number, known=known, potentials=options.potential)
    found = []
    for index in chosen:
        atoms = structures[index]
        atoms.info["frame"] = index
        if spreads is not None:
            atoms.info["max_forces_spread_eV_per_A"] = spreads[index]
        found.append(atoms)
    write_structures(path, found)
    sys.stdout.write(f"{path}: {len(found)} of {len(structures)} structures\n")
    return 0
