"""The figure of a reaction path."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ase_geomformer.recipes.path.result import NEBResult
from ase_geomformer.runs.style import COLOURS, GREY, PAGE, drawing, dress, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@drawing
def plot(result: NEBResult) -> Figure:
    """Energy against the length of the path, with its fit, and the forces step by step."""
    figure = new_figure(PAGE, 5.6)
    upper, lower = figure.subplots(2, 1, height_ratios=(2.2, 1.0))
    fit, colour = result.fit, COLOURS["energy"]
    upper.plot(fit.fit_path, fit.fit_energies, color=colour, lw=1.4)
    upper.plot(fit.path, fit.energies, "o", color=colour, ms=5, label="images")
    if result.saddle is not None and result.saddle.converged:
        label = "saddle point"
        if result.saddle.modes is not None and result.saddle.is_transition_state:
            frequency = -result.saddle.modes.frequencies_per_cm[0]
            label += f", {frequency:.0f}i cm$^{{-1}}$"
        place = fit.path[result.highest]
        upper.plot(
            [place], [result.barrier_forward_eV], "*", color=COLOURS["stress"], ms=11, label=label
        )
    upper.axhline(0.0, color=GREY, lw=0.8)
    upper.set_xlabel("length of the path (Å)")
    upper.set_ylabel("energy (eV)")
    upper.set_title(
        f"barrier {result.barrier_forward_eV:.4f} eV, back {result.barrier_reverse_eV:.4f} eV",
        loc="left",
    )
    lower.semilogy(result.history, color=COLOURS["forces"], lw=1.2)
    lower.set_xlabel("step")
    lower.set_ylabel("largest force (eV/Å)")
    for axes in (upper, lower):
        dress(axes)
    upper.legend(frameon=False, loc="best")
    return figure
