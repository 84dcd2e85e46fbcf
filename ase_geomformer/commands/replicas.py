"""``ase-geomformer replicas``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ase_geomformer.commands import arguments
from ase_geomformer.commands import options as common
from ase_geomformer.md.replicas.settings import ReplicaSettings
from ase_geomformer.md.settings import MDSettings

if TYPE_CHECKING:
    from jsonargparse import ArgumentParser, Namespace

USAGE = "--potential NAME --structure FILE --output DIR --temperatures_K [T, ...] [OPTION ...]"
DESCRIPTION = (
    "Molecular dynamics of several replicas of a structure (or of as many structures), at several "
    "temperatures or with several seeds, evaluated together; with --exchange_interval they "
    "exchange temperatures. Writes replica_0, replica_1 ..., each with the files of md, and "
    "replicas.png, settings.yaml, result.json and restart.npz, from which --resume continues the "
    "run, also to more --steps, bit for bit. The exit code is 1 if a replica stopped early."
)


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the options."""
    arguments.add_input(parser, index="-1")
    arguments.add_output(parser, required=True, resume=True)
    arguments.add_database(parser)
    parser.add_class_arguments(ReplicaSettings, as_group=True)
    parser.add_class_arguments(MDSettings, as_group=True)


def run(options: Namespace) -> int:
    """Do what the options say and return the exit code."""
    settings = common.settings_of(options, MDSettings)
    replicas = common.settings_of(options, ReplicaSettings)
    from ase_geomformer.md.replicas import run_replicas

    common.check_output(options)
    found = common.structures(options)
    alike = found if len(found) > 1 else found * len(replicas.each(settings))
    calculator = common.compiled_for(common.calculator(options), options, settings.steps, alike)
    result = run_replicas(
        found[0] if len(found) == 1 else found,
        calculator,
        settings,
        replicas,
        output=options.output,
        resume=options.resume,
        progress=options.progress,
        overwrite=options.overwrite,
        inputs=common.inputs(options),
    )
    common.to_database(options, "replicas", result.entries, calculator)
    return common.exit_code(options, result)
