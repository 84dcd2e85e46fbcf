"""The verbs that ask a teacher for labels: one row of a table each."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ase_geomformer.commands import arguments
from ase_geomformer.commands import options as common

if TYPE_CHECKING:
    from jsonargparse import ArgumentParser, Namespace

    from ase_geomformer.learning.teacher import Teacher


@dataclass(eq=False)
class TeacherVerb:
    """A verb that asks a teacher; it stands where other verbs have a module.

    Attributes
    ----------
    function, settings : str
        Names of the function and its settings class, after their module in
        :mod:`ase_geomformer.learning`.
    DESCRIPTION, USAGE : str
        For the help.
    index, index_help : str
        Default choice of frames, and what it says of them.
    structures : callable
        What the function is given of the options.
    fine_tunes : bool
        Whether it can start from a potential.
    """

    function: str
    settings: str
    DESCRIPTION: str
    USAGE: str
    index: str
    index_help: str
    structures: Callable[[Namespace], Any]
    fine_tunes: bool = False

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the options: structure, teacher, output, and the settings."""
        group = parser.add_argument_group("Input")
        group.add_argument(
            "--structure", required=True, metavar="FILE", help="File in any format that ASE reads."
        )
        group.add_argument("--index", default=self.index, help=self.index_help)
        add_teacher(group)
        if self.fine_tunes:
            group.add_argument(
                "--from", type=str | None, default=None, metavar="NAME",
                help="Name or path of a potential to fine-tune; the same as students.start_from.",
            )  # fmt: skip
        arguments.add_output(parser, required=True, resume=True)
        arguments.add_cluster(parser)
        parser.add_class_arguments(_learning(self.settings), as_group=True)

    def run(self, options: Namespace) -> int:
        """Call the function; the exit code is 1 if it did not reach its goal."""
        settings = common.settings_of(options, _learning(self.settings))
        if options.get("from") is not None:
            students = replace(settings.students, start_from=options["from"])
            settings = replace(settings, students=students)
        result = _learning(self.function)(
            self.structures(options),
            teacher_of(options),
            settings,
            output=options.output,
            resume=options.resume,
            overwrite=options.overwrite,
            progress=options.progress,
            inputs=common.inputs(options),
            cluster=options.cluster,
        )
        return common.exit_code(options, result)


def _learning(name: str) -> Any:
    """What ``module.name`` of the room is; loaded when it is needed."""
    module, _, attribute = name.partition(".")
    return getattr(importlib.import_module(f"ase_geomformer.learning.{module}"), attribute)


def add_teacher(parser: Any) -> None:
    """The teacher, in a parser or a group."""
    parser.add_argument(
        "--teacher", type=str, required=True, metavar="NAME",
        help="Name of a calculator that ASE knows (emt, tblite, espresso, ...), or "
        "package.module:factory of any other.",
    )  # fmt: skip
    parser.add_argument(
        "--teacher_args", type=dict[str, Any] | str | None, default=None,
        metavar="{KEY: VALUE, ...} | FILE.yaml", help="Arguments that make the teacher.",
    )  # fmt: skip


def teacher_of(options: Namespace) -> Teacher:
    """The teacher that the options name.

    Raises
    ------
    ValueError
        If the arguments are no mapping.
    """
    from ase_geomformer.learning.teacher import Teacher
    from ase_geomformer.machine.bounded import read_yaml
    from ase_geomformer.machine.files import expanded

    arguments = options.teacher_args or {}
    if isinstance(arguments, str):
        arguments = read_yaml(expanded(arguments))
    if not isinstance(arguments, dict):
        raise ValueError(f"teacher_args must be a mapping of names and values, not {arguments!r}")
    return Teacher(options.teacher, arguments)


TEACHER_VERBS = {
    "learn": TeacherVerb(
        "run.learn",
        "settings.LearnSettings",
        "Train a potential of one system from any ASE calculator: samples structures, has them "
        "labelled, trains several potentials, explores with them, and repeats that as long as "
        "the minutes last. Writes potential/ (ready to use), committee/, labels.jsonl, "
        "labels.extxyz, progress.png, calibration.png, coverage.png, parity.png, settings.yaml "
        "and result.json with the verdict. --resume continues after a kill or, with more "
        "--minutes, after the end. The exit code is 1 if the target error is not reached; the "
        "potential is there all the same.",
        USAGE="--structure FILE --teacher NAME --output DIR [--minutes MINUTES] [OPTION ...]",
        index="-1",
        index_help="Frame to read, as in ase.io.read.",
        structures=lambda options: common.single_structure(options, "learn"),
        fine_tunes=True,
    ),
    "label": TeacherVerb(
        "label.label",
        "label_settings.LabelSettings",
        "Energies, forces and stresses of structures by any ASE calculator, for training. Every"
        " answer is on the disk at once: --resume continues after a kill, also with more "
        "structures, and asks for no structure twice. A failed call is repeated once. Writes "
        "labels.jsonl, labels.extxyz, settings.yaml and result.json. The exit code is 1 if "
        "structures remain without label.",
        USAGE="--structure FILE --teacher NAME --output DIR [OPTION ...]",
        index=":",
        index_help="Frames to read, as in ase.io.read.",
        structures=common.structures,
    ),
}
