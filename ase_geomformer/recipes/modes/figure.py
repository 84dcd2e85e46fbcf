"""The figure of vibrations."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ase_geomformer.recipes.modes.normal_modes import NormalModes
from ase_geomformer.runs.style import COLOURS, GREY, PAGE, RED, drawing, dress, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BROADENING_PER_CM = 15.0


@drawing
def plot(modes: NormalModes, title: str) -> Figure:
    """Sticks at the frequencies, and their density, broadened; imaginary ones to the left of zero.

    Parameters
    ----------
    modes : NormalModes
    title : str
    """
    figure = new_figure(PAGE, 3.2)
    axes = figure.subplots()
    found = modes.frequencies_per_cm
    low = min(0.0, *found, 0.0) - 100.0
    high = max(500.0, *found, 500.0) + 200.0
    grid = np.linspace(low, high, 4000)
    width = BROADENING_PER_CM
    density = np.exp(-0.5 * ((grid[:, None] - found) / width) ** 2).sum(axis=1)
    density /= width * np.sqrt(2.0 * np.pi)
    axes.fill_between(grid, density, color=COLOURS["energy"], alpha=0.18, lw=0)
    axes.plot(grid, density, color=COLOURS["energy"], lw=0.9, alpha=0.6, label="density of modes")
    height = 1.0 / (width * np.sqrt(2.0 * np.pi))
    imaginary = found < 0
    for chosen, colour, label in (
        (~imaginary, COLOURS["energy"], f"{np.count_nonzero(~imaginary)} modes"),
        (imaginary, RED, f"{np.count_nonzero(imaginary)} imaginary"),
    ):
        if chosen.any():
            axes.vlines(found[chosen], 0.0, height, color=colour, lw=1.8, label=label)
    if imaginary.any():
        axes.axvline(0.0, color=GREY, lw=0.8)
    axes.set_xlim(low, high)
    axes.set_ylim(bottom=0.0)
    note = "; imaginary ones negative" if imaginary.any() else ""
    axes.set_xlabel(f"wavenumber (cm$^{{-1}}${note})")
    axes.set_ylabel("modes per cm$^{-1}$")
    axes.set_title(title, loc="left")
    dress(axes)
    axes.legend(frameon=False, ncols=3, loc="lower right", bbox_to_anchor=(1.0, 1.0))
    return figure
