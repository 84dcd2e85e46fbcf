"""``ase-geomformer md``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ase_geomformer.commands import options as common
from ase_geomformer.md.settings import MDSettings

if TYPE_CHECKING:
    from jsonargparse import ArgumentParser, Namespace

USAGE = "--potential NAME --structure FILE --output DIR [OPTION ...]"
DESCRIPTION = (
    "Molecular dynamics of one structure. Writes trajectory.FORMAT, log.csv, final.extxyz, "
    "md.png, settings.yaml, result.json and restart.npz, from which the same command with "
    "--resume goes on to the last bit. With several potentials, frames that they disagree about "
    "are kept in harvest.extxyz. The exit code is 1 when the run had to stop early."
)


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the options."""
    common.add_input(parser, index="-1", committee=True)
    common.add_compile(parser)
    common.add_output(parser, required=True)
    parser.add_argument(
        "--resume", action="store_true",
        help="go on with the run in DIR after it was killed, or to more --steps; "
        "begin it if there is none",
    )  # fmt: skip
    parser.add_argument("--progress", type=bool, default=True, help="show bar and table")
    parser.add_class_arguments(MDSettings, as_group=True)


def run(options: Namespace) -> int:
    """Do what the options say and return the exit code."""
    settings = common.settings_of(options, MDSettings)
    from ase_geomformer.md import run_md

    common.check_output(options)
    result = run_md(
        common.single_structure(options, "md"),
        common.calculator_or_committee(options),
        settings,
        output=options.output,
        resume=options.resume,
        progress=options.progress,
        overwrite=options.overwrite,
        inputs=common.inputs(options),
    )
    return common.exit_code(options, result)
