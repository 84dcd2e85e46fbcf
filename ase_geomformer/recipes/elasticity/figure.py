"""The figure of elastic constants."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ase_geomformer.recipes.elasticity.tensor import COMPONENTS
from ase_geomformer.runs.style import GREY, PAGE, SERIES, drawing, dress, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@drawing
def plot(strains: np.ndarray, stresses: np.ndarray, constants: np.ndarray) -> Figure:
    """Stress against each component of strain, with what the constants say.

    Parameters
    ----------
    strains, stresses : array (6, points, 6)
        By the strained component; stresses in GPa.
    constants : array (6, 6)
        GPa.
    """
    figure = new_figure(PAGE, 4.8)
    panels = figure.subplots(2, 3, sharex=True).ravel()
    for component, axes in enumerate(panels):
        strain = strains[component, :, component]
        for row, name in enumerate(COMPONENTS):
            colour = SERIES[row]
            axes.plot(100 * strain, stresses[component, :, row], "o", color=colour, ms=3.5)
            line = constants[row, component] * strain
            axes.plot(100 * strain, line, color=colour, lw=1.0, label=name)
        axes.set_title(f"strain {COMPONENTS[component]}")
        dress(axes)
    for axes in panels[3:]:
        axes.set_xlabel("strain (%)")
    for axes in panels[::3]:
        axes.set_ylabel("stress (GPa)")
    lines, names = panels[0].get_legend_handles_labels()
    figure.legend(lines, names, frameon=False, ncols=6, title="stress", loc="outside lower center")
    figure.suptitle("Cartesian axes of the structure given", color=GREY)
    return figure
