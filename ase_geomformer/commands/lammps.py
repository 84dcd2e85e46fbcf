"""``ase-geomformer lammps``."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from ase_geomformer.commands import arguments
from ase_geomformer.commands import options as common
from ase_geomformer.engines.lammps.settings import LammpsSettings

if TYPE_CHECKING:
    from jsonargparse import ArgumentParser, Namespace

USAGE = "--potential NAME --structure FILE --output DIR [--processes N] [OPTION ...]"
DESCRIPTION = (
    "Molecular dynamics of one structure by LAMMPS (extra lammps), divided among N processes. "
    "Writes in.lammps and structure.data, runs them under mpiexec, and makes of what LAMMPS leaves "
    "(log.lammps, frames.lammpstrj, restart.1, restart.2) log.csv, trajectory.traj, final.extxyz, "
    "md.png, settings.yaml and result.json. --resume continues from the last restart file, also "
    "to more --steps or on another number of processes. --launch false writes the input and prints "
    "the command, for the launcher of a cluster."
)


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the options."""
    arguments.add_input(parser, index="-1")
    arguments.add_output(parser, required=True, resume=True)
    parser.add_argument(
        "--launch", type=bool, default=True,
        help="Run the command; else write the input and print the command.",
    )  # fmt: skip
    parser.add_class_arguments(LammpsSettings, as_group=True)


def run(options: Namespace) -> int:
    """Do what the options say and return the exit code."""
    from ase_geomformer.engines.lammps.run import launch, prepare_run
    from ase_geomformer.runtime.settings import CalculatorSettings

    settings = common.settings_of(options, LammpsSettings)
    common.check_output(options)
    if options.potential is None:
        raise ValueError("lammps runs potentials of this package; give one by --potential")
    atoms = common.single_structure(options, "lammps")
    command = prepare_run(
        atoms,
        options.potential,
        settings,
        common.settings_of(options, CalculatorSettings),
        output=options.output,
        resume=options.resume,
        overwrite=options.overwrite,
        inputs=common.inputs(options),
    )
    if not options.launch:
        sys.stdout.write(shlex.join(command) + "\n")
        return 0
    found = launch(command, Path(options.output), settings, progress=options.progress)
    rate, files = found["steps_per_second"], options.output
    sys.stdout.write(f"{found['reason']}: {rate:.3g} steps/s; files in {files}\n")
    return 0 if found["completed"] else 1
