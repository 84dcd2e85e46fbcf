"""Options that several verbs share, as parsers take them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ase_geomformer.runtime.settings import CalculatorSettings

if TYPE_CHECKING:
    from jsonargparse import ArgumentParser

# Defaults and texts of the options for what is shown.
_SHOWN = {
    "progress": (True, "Show a progress bar and tables of the results."),
    "json": (False, "Print the results as JSON instead of a table."),
}


def add_input(
    parser: ArgumentParser, index: str, *, committee: bool = False, dtype: str = "auto"
) -> None:
    """Potential and structure, and how the potential is evaluated.

    Parameters
    ----------
    parser : ArgumentParser
    index : str
        Default choice of frames.
    committee : bool
        Whether several potentials may be given.
    dtype : str
        Default of the dtype.
    """
    group = parser.add_argument_group("Input")
    add_source(group, committee=committee)
    group.add_argument(
        "--structure", type=str, required=True, metavar="FILE",
        help="File in any format that ASE reads.",
    )  # fmt: skip
    group.add_argument("--index", default=index, help="Frame or frames to read, as in ase.io.read.")
    add_calculator(parser, dtype=dtype)


def add_calculator(parser: ArgumentParser, *, dtype: str = "auto") -> None:
    """How the potential is evaluated."""
    parser.add_class_arguments(CalculatorSettings, as_group=True)
    parser.set_defaults(dtype=dtype)


def add_source(parser: Any, *, committee: bool = False) -> None:
    """What is evaluated, in a parser or a group: a potential, or another package's calculator.

    There may be several potentials where ``committee`` allows them.
    """
    several = "; [NAME, ...] or a folder of potentials for a committee" if committee else ""
    parser.add_argument(
        "--potential", type=list[str] | str | None if committee else str | None, default=None,
        metavar="NAME", help=f"Name or path of a potential{several}.",
    )  # fmt: skip
    parser.add_argument(
        "--calculator", type=str | None, default=None, metavar="NAME",
        help="Instead of --potential: the name of a calculator that ASE knows (emt, lj, ...), or "
        "package.module:factory of any other.",
    )  # fmt: skip
    parser.add_argument(
        "--calculator_args", type=dict[str, Any] | None, default=None, metavar="{KEY: VALUE, ...}",
        help="Arguments that make the calculator.",
    )  # fmt: skip


def add_output(
    parser: ArgumentParser, *, required: bool, resume: bool = False, shown: str | None = "progress"
) -> None:
    """Folder of the results, and how they are shown.

    Parameters
    ----------
    parser : ArgumentParser
    required : bool
        Whether there must be a folder.
    resume : bool
        Whether a run can be resumed.
    shown : str or None
        Which option there is for what is shown: ``progress`` or ``json``.
    """
    group = parser.add_argument_group("Output")
    group.add_argument(
        "--output", type=str if required else str | None, required=required, metavar="DIR",
        help="New or empty folder for the results.",
    )  # fmt: skip
    group.add_argument(
        "--overwrite", type=bool, default=False, help="Overwrite existing results in DIR."
    )
    if resume:
        group.add_argument(
            "--resume", type=bool, default=False,
            help="Resume the run in DIR, or start it if none exists.",
        )  # fmt: skip
    group.add_argument(
        "--report", type=bool, default=False,
        help="Write report.html, a page of the run with charts and a view of the structure.",
    )  # fmt: skip
    if shown == "progress":
        add_figure_format(group)
    if shown is not None:
        default, text = _SHOWN[shown]
        group.add_argument(f"--{shown}", type=bool, default=default, help=text)


def add_figure_format(group: Any) -> None:
    """The format of figures, which the command line has all that are saved written in."""
    group.add_argument(
        "--figure_format", choices=["png", "svg", "pdf"], default="png",
        help="svg or pdf: write figures in this vector format, too, beside the PNG.",
    )  # fmt: skip


def add_database(parser: ArgumentParser) -> None:
    """An ASE database for the results."""
    parser.add_argument(
        "--db", type=str | None, default=None, metavar="FILE",
        help="Add the results to this ASE database (.db or .json), one row for each structure.",
    )  # fmt: skip


def add_cluster(parser: ArgumentParser) -> None:
    """Where many structures are evaluated."""
    parser.add_argument(
        "--cluster", type=str | None, default=None, metavar="WHERE",
        help="Evaluate on many workers (extra dask): local or local:N for processes on this "
        "machine, dask://HOST:PORT for the scheduler of a Dask cluster.",
    )  # fmt: skip
