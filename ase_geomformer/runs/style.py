"""How all figures look, in one place, and apart from pyplot's global state.

They have the widths of a journal's column or page, in which no text is smaller than 8 pt, and the
colours of Okabe and Ito (jfly.uni-koeln.de/color), which those who are colour-blind tell apart.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, ParamSpec

from ase_geomformer.machine.files import atomic_file

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.colors import Colormap
    from matplotlib.figure import Figure

BLUE, GREEN, ORANGE, PURPLE = "#0072b2", "#009e73", "#d55e00", "#cc79a7"
RED, GREY = "#b3261e", "#8a8a8a"
COLOURS = {"energy": BLUE, "forces": GREEN, "stress": ORANGE}
# For as many curves as there are elements.
SERIES = (BLUE, ORANGE, GREEN, PURPLE, "#56b4e9", "#e69f00", "#000000")
# Widths in inches of figures for one column and for a page.
COLUMN, PAGE = 3.5, 7.0
SMALLEST_PT = 8
# Fewer rows have no curve and no histogram.
FEW_ROWS = 10
DOTS_PER_INCH = 200
_TEXT: dict[Any, Any] = {
    "font.size": 9,
    "axes.labelsize": 9,
    "axes.titlesize": 9,
    "figure.titlesize": 9,
    "xtick.labelsize": SMALLEST_PT,
    "ytick.labelsize": SMALLEST_PT,
    "legend.fontsize": SMALLEST_PT,
    "legend.title_fontsize": SMALLEST_PT,
    # Text stays text in vector figures, for those who edit them.
    "svg.fonttype": "none",
    "pdf.fonttype": 42,
}

FigureFormat = Literal["png", "svg", "pdf"]
# Of figures that are written beside the PNG, which pages and cards show.
VECTOR = ("svg", "pdf")
_format: ContextVar[FigureFormat] = ContextVar("figure_format", default="png")

_P = ParamSpec("_P")
# Every function and method that draws a figure, by module and name.
FIGURES: dict[str, Callable[..., Figure]] = {}


def styled(draw: Callable[_P, Figure]) -> Callable[_P, Figure]:
    """Decorate what draws a figure: its text has our sizes."""

    @functools.wraps(draw)
    def drawn(*args: _P.args, **kwargs: _P.kwargs) -> Figure:
        from matplotlib import rc_context

        with rc_context(_TEXT):
            return draw(*args, **kwargs)

    return drawn


def drawing(draw: Callable[_P, Figure]) -> Callable[_P, Figure]:
    """Decorate what draws a figure of the package: :func:`styled`, and listed in FIGURES."""
    drawn = styled(draw)
    FIGURES[f"{draw.__module__.partition('.')[2]}.{draw.__qualname__}"] = drawn
    return drawn


@contextmanager
def figures_as(kind: FigureFormat) -> Iterator[None]:
    """Have figures that are saved within written in a vector format, too.

    Parameters
    ----------
    kind : str
        ``svg`` or ``pdf``, beside the PNG of the same name; ``png`` alone.
    """
    token = _format.set(kind)
    try:
        yield
    finally:
        _format.reset(token)


def new_figure(width: float, height: float) -> Figure:
    """An empty figure of so many inches, drawn without a display."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def dress(axes: Axes) -> None:
    """Open frame, light grid."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.25, lw=0.6)
    axes.set_axisbelow(True)


def curve(rows: int) -> dict[str, Any]:
    """Style of a curve of so many rows, whose points are marked where a line would not be seen."""
    return {"lw": 1.1, "ms": 4, "marker": "o" if rows < FEW_ROWS else ""}


def note(axes: Axes, text: str) -> None:
    """Text in the upper left corner, legible over data."""
    box = {"facecolor": "white", "alpha": 0.85, "edgecolor": "none", "pad": 3.0}
    axes.text(
        0.04,
        0.96,
        text,
        transform=axes.transAxes,
        ha="left",
        va="top",
        fontsize=SMALLEST_PT,
        bbox=box,
    )


def plain_log_ticks(axis: Axis) -> None:
    """Ticks of a logarithmic axis, drawn already, written without powers of ten.

    They are at 1, 2 and 5 of each decade or, where there are many decades, at 1. Labels beside
    each other need more room than those above each other.
    """
    from matplotlib.axis import XAxis
    from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

    low, high = axis.get_data_interval()
    widest = 20.0 if isinstance(axis, XAxis) else 300.0
    few = not 0 < low < high < widest * low
    axis.set_major_locator(LogLocator(subs=(1.0,) if few else (1.0, 2.0, 5.0)))
    axis.set_major_formatter(StrMethodFormatter("{x:,.10g}"))
    axis.set_minor_formatter(NullFormatter())


def shades(colour: str) -> Colormap:
    """From a pale tint of a colour to a dark shade of it."""
    from matplotlib.colors import LinearSegmentedColormap, to_rgb

    middle = to_rgb(colour)
    pale = [0.35 * part + 0.65 for part in middle]
    dark = [0.35 * part for part in middle]
    return LinearSegmentedColormap.from_list(colour, [pale, middle, dark])


def vector_files(name: str) -> list[str]:
    """What may have been written beside a PNG; nothing for other files."""
    stem, _, suffix = name.rpartition(".")
    return [f"{stem}.{kind}" for kind in VECTOR] if suffix == "png" else []


def save_figure(figure: Figure, path: str | os.PathLike[str]) -> None:
    """Write a figure, atomically, in the format that its suffix names and in that asked for."""
    from matplotlib import rc_context

    paths = {Path(path), Path(path).with_suffix(f".{_format.get()}")}
    with rc_context(_TEXT):
        for each in sorted(paths):
            with atomic_file(each) as temporary:
                figure.savefig(temporary, dpi=DOTS_PER_INCH)
