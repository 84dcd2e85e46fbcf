"""``report``: a page of runs for a browser."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ase_geomformer.commands import options as common

if TYPE_CHECKING:
    from jsonargparse import ArgumentParser, Namespace

DESCRIPTION = (
    "Write one HTML page of a run, or of several side by side: verdict, numbers, interactive "
    "charts, figures, a view of the structure or trajectory, settings and provenance. It works "
    "offline and can be sent to a colleague as it is. Needs the extra report."
)
USAGE = "DIR [DIR ...] [--output FILE]"


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("runs", nargs="+", metavar="DIR", help="Output folder of a run.")
    parser.add_argument(
        "--output", type=str | None, default=None, metavar="FILE",
        help="File to write; DIR/report.html for one run.",
    )  # fmt: skip


def run(options: Namespace) -> int:
    """Write the page; the exit code is 0."""
    from ase_geomformer.page import write_page

    common.tell_page(write_page(options.runs, options.output))
    return 0
