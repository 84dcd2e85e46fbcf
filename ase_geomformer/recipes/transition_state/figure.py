"""The figure of a search for a transition state."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ase_geomformer.recipes.transition_state.result import SaddleResult
from ase_geomformer.runs.style import COLOURS, GREY, PAGE, drawing, dress, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@drawing
def plot(result: SaddleResult, fmax: float) -> Figure:
    """Energy above the start and largest force, step by step.

    Parameters
    ----------
    result : SaddleResult
    fmax : float
        Force that the search should come below, eV/Å.
    """
    figure = new_figure(PAGE, 4.6)
    upper, lower = figure.subplots(2, 1, sharex=True)
    change = result.energies - result.energies[0]
    upper.plot(change, ".-", color=COLOURS["energy"], lw=1.2)
    upper.set_ylabel("energy above the start (eV)")
    title = f"{result.energy_above_start_eV:+.4f} eV"
    if len(result.imaginary_per_cm):
        listed = ", ".join(f"{-value:.0f}i" for value in result.imaginary_per_cm)
        title += f", imaginary: {listed} cm$^{{-1}}$"
    upper.set_title(title, loc="left")
    lower.semilogy(result.fmax, ".-", color=COLOURS["forces"], lw=1.2)
    lower.axhline(fmax, color=GREY, ls="--", lw=1.0)
    lower.set_ylabel("largest force (eV/Å)")
    lower.set_xlabel("step")
    lower.xaxis.get_major_locator().set_params(integer=True)
    for axes in (upper, lower):
        dress(axes)
    return figure
