"""How all figures look, in one place, and apart from pyplot's global state."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from ase_geomformer.machine.files import atomic_file

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.colors import Colormap
    from matplotlib.figure import Figure

BLUE, GREEN, ORANGE, PURPLE = "#1f5a94", "#1b8a5a", "#c2571a", "#7a4fa3"
RED, GREY = "#b3261e", "#8a8a8a"
COLOURS = {"energy": BLUE, "forces": GREEN, "stress": ORANGE}
# For as many curves as there are elements.
SERIES = (BLUE, GREEN, ORANGE, PURPLE, "#b8860b", "#c2407a", "#4a9fb8")
DOTS_PER_INCH = 160


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


def note(axes: Axes, text: str) -> None:
    """Text in the upper left corner, legible over data."""
    box = {"facecolor": "white", "alpha": 0.85, "edgecolor": "none", "pad": 3.0}
    axes.text(0.04, 0.96, text, transform=axes.transAxes, ha="left", va="top", fontsize=9, bbox=box)


def plain_log_ticks(axis: Axis) -> None:
    """Ticks of a logarithmic axis, drawn already, written without powers of ten.

    They are at 1, 2 and 5 of each decade or, where there are many decades, at 1.
    """
    from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

    low, high = axis.get_data_interval()
    few = not 0 < low < high < 300 * low
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


def save_figure(figure: Figure, path: str | os.PathLike[str]) -> None:
    """Write a figure, atomically, in the format that its suffix names."""
    with atomic_file(path) as temporary:
        figure.savefig(temporary, dpi=DOTS_PER_INCH)
