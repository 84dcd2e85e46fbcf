"""The figure of adsorption."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from ase.data import covalent_radii
from matplotlib.patches import Circle

from ase_geomformer.recipes.adsorbates.result import AdsorptionResult
from ase_geomformer.recipes.adsorbates.sites import frame_of
from ase_geomformer.runs.style import GREY, PAGE, SERIES, drawing, dress, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@drawing
def plot(result: AdsorptionResult) -> Figure:
    """The sites on the slab from above, and the adsorption energy from each."""
    figure = new_figure(PAGE, 3.2)
    left, right = figure.subplots(1, 2)
    _from_above(left, result)
    names = [one.site.name for one in result.adsorbed]
    energies = [one.adsorption_energy_eV for one in result.adsorbed]
    colours = [SERIES[place % len(SERIES)] for place in range(len(names))]
    bars = right.barh(range(len(names)), energies, height=0.6, color=colours)
    right.bar_label(bars, fmt="%.3f", padding=2)
    right.set_yticks(range(len(names)), names)
    right.invert_yaxis()
    right.axvline(0.0, color=GREY, lw=0.8)
    right.margins(x=0.25)
    right.set_xlabel("adsorption energy (eV)")
    dress(right)
    return figure


def _from_above(axes: Axes, result: AdsorptionResult) -> None:
    """Atoms of the slab, the upper ones darker, and the points of each site."""
    frame = frame_of(result.slab)
    places = result.slab.positions @ frame.T
    order = np.argsort(places[:, 2])
    depth = places[:, 2].max() - places[:, 2]
    for index in order:
        shade = 0.35 + 0.6 * min(1.0, float(depth[index]) / 5.0)
        radius = 0.9 * covalent_radii[result.slab.numbers[index]]
        circle = Circle(
            places[index, :2], radius, facecolor=str(shade), edgecolor="white", linewidth=0.6
        )
        axes.add_patch(circle)
    for place, one in enumerate(result.adsorbed):
        points = one.site.points @ frame[:2].T
        axes.plot(*points.T, "o", color=SERIES[place % len(SERIES)], ms=5, mec="white", mew=0.6)
    axes.set_aspect("equal")
    axes.autoscale_view()
    axes.set_xlabel("x (Å)")
    axes.set_ylabel("y (Å)")
    axes.spines[["top", "right"]].set_visible(False)
