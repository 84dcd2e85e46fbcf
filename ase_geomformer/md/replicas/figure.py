"""The figure of a set of replicas."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ase_geomformer.md.replicas.result import ReplicasResult
from ase_geomformer.runs.style import FEW_ROWS, PAGE, curve, drawing, dress, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@drawing
def plot(result: ReplicasResult) -> Figure:
    """Temperatures against time and potential energies by temperature, apart from pyplot.

    With exchanges, the upper panel shows how replicas walk through the ladder; without, their
    temperatures. The histograms of neighbouring temperatures must overlap for exchanges to be
    accepted.
    """
    from matplotlib import colormaps

    figure = new_figure(PAGE, 5.5)
    upper, lower = figure.subplots(2, 1)
    colours = colormaps["viridis"](np.linspace(0.05, 0.9, len(result.replicas)))
    column = "target_temperature_K" if result.acceptance else "temperature_K"
    for index, (replica, colour) in enumerate(zip(result.replicas, colours, strict=True)):
        time_ps = replica.log["time_fs"] / 1000.0
        # A temperature is exchanged at once, and not in the course of an interval.
        style = "steps-post" if result.acceptance else "default"
        upper.plot(
            time_ps, replica.log[column], color=colour, label=f"replica {index}", drawstyle=style,
            **curve(len(time_ps)),
        )  # fmt: skip
    upper.set(
        xlabel="time (ps)",
        ylabel="target temperature (K)" if result.acceptance else "temperature (K)",
    )
    for index, (kelvin, colour) in enumerate(zip(result.temperatures_K, colours, strict=True)):
        log = result.at_temperature(kelvin) if result.acceptance else result.replicas[index].log
        energies, label = log["potential_energy_eV"], f"{kelvin:g} K"
        if len(energies) < FEW_ROWS:
            lower.axvline(float(np.mean(energies)), color=colour, lw=1.1, label=label)
        else:
            lower.hist(
                energies, bins="auto", density=True, histtype="step", color=colour, label=label
            )
    lower.set(xlabel="potential energy (eV)", ylabel="density (1/eV)")
    for axes in (upper, lower):
        dress(axes)
        # Above the panel: curves may be anywhere in it.
        axes.legend(frameon=False, ncols=6, loc="lower left", bbox_to_anchor=(0.0, 1.0))
    return figure
