"""The figure of cohesive energies."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ase_geomformer.recipes.cohesion.result import CohesiveResult
from ase_geomformer.runs.style import BLUE, COLUMN, drawing, dress, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Structures whose names fit beside their bars, and the letters of a name that do.
_NAMED, _LETTERS = 20, 22


@drawing
def plot(result: CohesiveResult) -> Figure:
    """Cohesive energy of each structure, the most strongly bound one above."""
    entries = sorted(result.cohesions, key=lambda one: one.cohesive_energy_eV)
    energies = [one.cohesive_energy_eV for one in entries]
    places = range(len(entries))
    named = len(entries) <= _NAMED
    figure = new_figure(COLUMN, 1.2 + 0.22 * len(entries) if named else 3.5)
    axes = figure.subplots()
    if named:
        bars = axes.barh(places, energies, height=0.6, color=BLUE)
        axes.bar_label(bars, fmt="%.3f", padding=2)
        axes.set_yticks(places, [one.name[-_LETTERS:] for one in entries])
        axes.margins(x=0.25)
    else:
        axes.plot(energies, places, ".", color=BLUE, ms=3)
        axes.set_ylabel("structures")
    axes.set_xlabel("cohesive energy (eV/atom)")
    dress(axes)
    return figure
