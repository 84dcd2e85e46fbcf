"""The figure of an intrinsic reaction coordinate."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ase_geomformer.recipes.reaction_coordinate.result import IRCResult
from ase_geomformer.runs.style import COLOURS, GREY, PAGE, drawing, dress, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@drawing
def plot(result: IRCResult) -> Figure:
    """Energy and largest force along the path, with the minima at both ends."""
    figure = new_figure(PAGE, 5.6)
    upper, lower = figure.subplots(2, 1, height_ratios=(2.2, 1.0), sharex=True)
    first = result.end_energies[0]
    upper.plot(result.coordinate, result.energies - first, ".-", color=COLOURS["energy"], lw=1.2)
    label = f"saddle point, {-result.imaginary_per_cm:.0f}i cm$^{{-1}}$"
    upper.plot([0.0], [-first], "*", color=COLOURS["stress"], ms=11, label=label)
    for index, energy in ((0, 0.0), (-1, result.reaction_energy_eV)):
        upper.plot(
            [result.coordinate[index]], [energy], "D", color="black", ms=5, mfc="none",
            label="minima" if index == 0 else None,
        )  # fmt: skip
    upper.axhline(0.0, color=GREY, lw=0.8)
    upper.set_ylabel("energy (eV)")
    upper.set_title(
        f"barrier {result.barrier_forward_eV:.4f} eV, back {result.barrier_reverse_eV:.4f} eV",
        loc="left",
    )
    lower.plot(result.coordinate, result.fmax, ".-", color=COLOURS["forces"], lw=1.2)
    lower.set_ylim(bottom=0.0)
    lower.set_ylabel("largest force (eV/Å)")
    lower.set_xlabel("reaction coordinate (Å amu$^{1/2}$)")
    for axes in (upper, lower):
        dress(axes)
    upper.legend(frameon=False, loc="best")
    return figure
