"""The figure of surface energies."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ase_geomformer.recipes.surfaces.result import SurfaceResult
from ase_geomformer.runs.style import COLUMN, SERIES, drawing, dress, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@drawing
def plot(result: SurfaceResult) -> Figure:
    """Surface energy of each slab against its thickness, and that of the straight line."""
    figure = new_figure(COLUMN, 2.8)
    axes = figure.subplots()
    for one, colour in zip(result.terminations, SERIES, strict=False):
        gap = f"gap {one.cut.gap_A:.2f} Å"
        label = f"{one.cut.name}, {gap}: {one.energy_J_per_m2:.3f} J/m²"
        axes.plot(one.thickness_A, one.by_thickness_J_per_m2, "o", color=colour, ms=4, label=label)
        axes.axhline(one.energy_J_per_m2, color=colour, ls="--", lw=1.0)
    axes.set_xlabel("thickness (Å)")
    axes.set_ylabel("surface energy (J/m²)")
    axes.set_title(
        f"{result.bulk.symbols.formula.reduce()[0]} ({' '.join(map(str, result.miller))})",
        loc="left",
    )
    axes.margins(y=0.25)
    axes.legend(frameon=False, loc="best")
    dress(axes)
    return figure
