"""The options that name a teacher."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jsonargparse import Namespace

    from ase_geomformer.learning.teacher import Teacher


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
