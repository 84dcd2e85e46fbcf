"""``ase-geomformer label``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ase_geomformer.commands import options as common
from ase_geomformer.commands.teacher import add_teacher, teacher_of
from ase_geomformer.learning.label_settings import LabelSettings

if TYPE_CHECKING:
    from jsonargparse import ArgumentParser, Namespace

USAGE = "--structure FILE --teacher NAME --output DIR [OPTION ...]"
DESCRIPTION = (
    "Energies, forces and stresses of structures by any ASE calculator, for training. Every answer "
    "is on the disk at once: --resume continues after a kill, also with more structures, and asks "
    "for no structure twice. A failed call is repeated once. Writes labels.jsonl, labels.extxyz, "
    "settings.yaml and result.json. The exit code is 1 if structures remain without label."
)


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the options."""
    group = parser.add_argument_group("Input")
    group.add_argument(
        "--structure", required=True, metavar="FILE", help="File in any format that ASE reads."
    )
    group.add_argument("--index", default=":", help="Frames to read, as in ase.io.read.")
    add_teacher(group)
    common.add_output(parser, required=True, resume=True)
    parser.add_class_arguments(LabelSettings, as_group=True)


def run(options: Namespace) -> int:
    """Do what the options say and return the exit code."""
    settings = common.settings_of(options, LabelSettings)
    from ase_geomformer.learning.label import label

    result = label(
        common.structures(options),
        teacher_of(options),
        settings,
        output=options.output,
        resume=options.resume,
        overwrite=options.overwrite,
        progress=options.progress,
        inputs=common.inputs(options),
    )
    return common.exit_code(options, result)
