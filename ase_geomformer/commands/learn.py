"""``ase-geomformer learn``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ase_geomformer.commands import options as common
from ase_geomformer.commands.teacher import add_teacher, teacher_of
from ase_geomformer.learning.settings import LearnSettings

if TYPE_CHECKING:
    from jsonargparse import ArgumentParser, Namespace

USAGE = "--structure FILE --teacher NAME --output DIR [--minutes MINUTES] [OPTION ...]"
DESCRIPTION = (
    "Train a potential of one system from any ASE calculator: samples structures, has them "
    "labelled, trains several potentials, explores with them, and repeats that as long as the "
    "minutes last. Writes potential/ (ready to use), committee/, labels.jsonl, labels.extxyz, "
    "progress.png, calibration.png, coverage.png, parity.png, settings.yaml and result.json with "
    "the verdict. --resume continues after a kill or, with more --minutes, after the end. The exit "
    "code is 1 if the target error is not reached; the potential is there all the same."
)


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the options."""
    group = parser.add_argument_group("Input")
    group.add_argument(
        "--structure", required=True, metavar="FILE", help="File in any format that ASE reads."
    )
    group.add_argument("--index", default="-1", help="Frame to read, as in ase.io.read.")
    add_teacher(group)
    common.add_output(parser, required=True, resume=True)
    parser.add_class_arguments(LearnSettings, as_group=True)


def run(options: Namespace) -> int:
    """Do what the options say and return the exit code."""
    settings = common.settings_of(options, LearnSettings)
    from ase_geomformer.learning.run import learn

    result = learn(
        common.single_structure(options, "learn"),
        teacher_of(options),
        settings,
        output=options.output,
        resume=options.resume,
        overwrite=options.overwrite,
        progress=options.progress,
        inputs=common.inputs(options),
    )
    return common.exit_code(options, result)
