"""``ase-geomformer selftest``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ase_geomformer.commands import arguments
from ase_geomformer.commands import options as common

if TYPE_CHECKING:
    from jsonargparse import ArgumentParser, Namespace

USAGE = "--potential NAME --structure FILE [OPTION ...]"
DESCRIPTION = (
    "Test a potential on a structure: symmetries, forces and stress against finite differences of "
    "the energy, smoothness, float32 against float64, batches, neighbour lists, stored reference "
    "values, and energy conservation. The exit code is 1 if a check fails."
)


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the options."""
    arguments.add_input(parser, index="-1")
    arguments.add_output(parser, required=False, shown="json")
    parser.add_argument(
        "--checks", type=list[str] | None, metavar="NAMES",
        help="Run only these checks, as [NAME, ...].",
    )  # fmt: skip
    parser.add_argument(
        "--seed", type=int, default=0, help="Random seed of displacements and velocities."
    )


def run(options: Namespace) -> int:
    """Do what the options say and return the exit code."""
    from ase_geomformer.runs.provenance import provenance
    from ase_geomformer.runs.report import complain
    from ase_geomformer.trust import selftest

    folder = common.check_output(options)
    atoms = common.single_structure(options, "selftest")
    calculator = common.calculator(options)
    result = selftest(
        calculator,
        atoms,
        dtype=None if options.dtype == "auto" else options.dtype,
        checks=options.checks,
        seed=options.seed,
        progress=not options.json,
    )
    content = {**result.to_dict(), "provenance": provenance(calculator, seed=options.seed)}
    common.give_results(options, folder, content, result.table)
    complain(result.problem)
    return 0 if result.passed else 1
