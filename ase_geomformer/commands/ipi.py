"""``ase-geomformer ipi``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ase_geomformer.commands import arguments
from ase_geomformer.commands import options as common
from ase_geomformer.engines.ipi.settings import PathIntegralSettings

if TYPE_CHECKING:
    from jsonargparse import ArgumentParser, Namespace

USAGE = "--potential NAME --structure FILE --output DIR [OPTION ...]"
DESCRIPTION = (
    "Path-integral molecular dynamics of one structure by i-PI (extra ipi), with all replicas of a "
    "step in one evaluation: quantum kinetic energies, heat capacities, isotope effects, and "
    "ring-polymer molecular dynamics. Writes log.csv, trajectory.traj (centroids), beads.traj, "
    "final.extxyz, pimd.png, settings.yaml, result.json, input.xml for i-PI's own program, and "
    "restart.npz, from which --resume continues the run, also to more --steps, bit for bit. The "
    "exit code is 1 if the run stopped early."
)


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the options."""
    arguments.add_input(parser, index="-1", dtype="float64")
    arguments.add_output(parser, required=True, resume=True)
    arguments.add_database(parser)
    parser.add_class_arguments(PathIntegralSettings, as_group=True)


def run(options: Namespace) -> int:
    """Do what the options say and return the exit code."""
    from ase_geomformer.engines.ipi.run import path_integrals

    settings = common.settings_of(options, PathIntegralSettings)
    common.check_output(options)
    atoms = common.single_structure(options, "ipi")
    calculator = common.calculator(options)
    result = path_integrals(
        atoms,
        calculator,
        settings,
        output=options.output,
        resume=options.resume,
        overwrite=options.overwrite,
        progress=options.progress,
        inputs=common.inputs(options),
        compile_if_long=True,
    )
    common.to_database(options, "ipi", result.entries, calculator)
    return common.exit_code(options, result)
