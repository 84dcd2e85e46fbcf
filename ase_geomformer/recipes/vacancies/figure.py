"""The figure of formation energies of vacancies."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ase_geomformer.recipes.vacancies.result import VacancyResult
from ase_geomformer.runs.style import COLUMN, GREY, SERIES, drawing, dress, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@drawing
def plot(result: VacancyResult) -> Figure:
    """Formation energy of each kind of vacancy against the size of the supercell."""
    figure = new_figure(COLUMN, 2.8)
    axes = figure.subplots()
    for one, colour in zip(result.vacancies, SERIES, strict=False):
        energies, name = one.formation_energies_eV, f"{one.element} ({one.site})"
        if energies is not None:
            label = f"{name}, {energies[-1]:.3f} eV"
            axes.plot(result.sites, energies, "o-", color=colour, ms=4, lw=1.0, label=label)
    if result.schottky_energies_eV is not None:
        label = f"Schottky, {result.schottky_energies_eV[-1]:.3f} eV"
        energies = result.schottky_energies_eV
        axes.plot(result.sites, energies, "s-", color=GREY, ms=4, lw=1.0, label=label)
    axes.set_xlabel("size of the supercell (sites)")
    axes.set_ylabel("formation energy (eV)")
    axes.set_title(f"vacancies in {result.bulk.symbols.formula.reduce()[0]}", loc="left")
    axes.margins(x=0.15, y=0.4)
    if axes.lines:
        axes.legend(frameon=False, loc="best")
    dress(axes)
    return figure
