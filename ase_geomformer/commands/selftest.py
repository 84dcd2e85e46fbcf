"""``ase-geomformer selftest``."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from ase_geomformer.commands import options as common

if TYPE_CHECKING:
    from jsonargparse import ArgumentParser, Namespace

USAGE = "--potential NAME --structure FILE [OPTION ...]"
DESCRIPTION = (
    "Test a potential on a structure: symmetries, forces and stress against differences of "
    "energies, smoothness, float32 against float64, batches, neighbour lists, golden vectors, and "
    "energy conservation. The exit code is 1 when a check fails."
)


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the options."""
    common.add_input(parser, index="-1")
    common.add_output(parser, required=False)
    parser.add_argument(
        "--checks", type=list[str] | None, metavar="NAMES", help="only these, as [NAME, ...]"
    )
    parser.add_argument("--seed", type=int, default=0, help="of displacements and velocities")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")


def run(options: Namespace) -> int:
    """Do what the options say and return the exit code."""
    from rich.console import Console

    from ase_geomformer.provenance import (
        check_folder,
        provenance,
        start_folder,
        to_json,
        write_result,
    )
    from ase_geomformer.trust import selftest

    folder = None
    if options.output is not None:
        folder = check_folder(options.output, overwrite=options.overwrite)
    found = common.structures(options)
    if len(found) > 1:
        raise ValueError(
            f"selftest takes one structure, and --index {options.index} of {options.structure!r} "
            f"gives {len(found)}"
        )
    calculator = common.calculator(options)
    result = selftest(
        calculator,
        found[0],
        checks=options.checks,
        seed=options.seed,
        progress=not options.json,
    )
    content = {**result.to_dict(), "provenance": provenance(calculator, seed=options.seed)}
    if folder is not None:
        start_folder(folder, common.inputs(options))
        write_result(folder, content)
    if options.json:
        sys.stdout.write(to_json(content))
    else:
        Console().print(result.table())
    return 0 if result.passed else 1
