"""``ase-geomformer md``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ase_geomformer.commands import arguments
from ase_geomformer.commands import options as common
from ase_geomformer.md.settings import MDSettings

if TYPE_CHECKING:
    from jsonargparse import ArgumentParser, Namespace

USAGE = "--potential NAME --structure FILE --output DIR [OPTION ...]"
DESCRIPTION = (
    "Molecular dynamics of one structure. Writes trajectory.FORMAT, log.csv, final.extxyz, "
    "md.png, settings.yaml, result.json and restart.npz, from which --resume continues the run, "
    "also to more --steps, bit for bit. With several potentials, frames on which they disagree are "
    "kept in harvest.extxyz. The exit code is 1 if the run stopped early."
)


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the options."""
    arguments.add_input(parser, index="-1", committee=True)
    arguments.add_output(parser, required=True, resume=True)
    arguments.add_database(parser)
    parser.add_class_arguments(MDSettings, as_group=True)


def run(options: Namespace) -> int:
    """Do what the options say and return the exit code."""
    settings = common.settings_of(options, MDSettings)
    from ase_geomformer.md import run_md

    common.check_output(options)
    atoms = common.single_structure(options, "md")
    calculator = common.calculator_or_committee(options)
    result = run_md(
        atoms,
        common.compiled_for(calculator, options, settings.steps, [atoms]),
        settings,
        output=options.output,
        resume=options.resume,
        progress=options.progress,
        overwrite=options.overwrite,
        inputs=common.inputs(options),
    )
    common.to_database(options, "md", result.entries, calculator)
    return common.exit_code(options, result)
