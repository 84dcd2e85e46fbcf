"""The figure of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ase_geomformer.md.settings import MDSettings

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_ENERGIES = {
    "potential_energy_eV": ("potential", "#1f5a94"),
    "total_energy_eV": ("total", "#9a9a9a"),
    "conserved_energy_eV": ("conserved", "#1b8a5a"),
}
_TEMPERATURE_COLOUR = "#c2571a"


def plot(log: dict[str, np.ndarray], settings: MDSettings) -> Figure:
    """Energies and temperature against time, as a figure apart from pyplot's.

    Parameters
    ----------
    log : dict of str to array
        Columns of the log, one row at least.
    settings : MDSettings
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.0, 5.0), layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True)
    time_ps = log["time_fs"] / 1000.0
    averaged = log["step"] >= settings.equilibration_steps
    for name, (label, colour) in _ENERGIES.items():
        if name in log:
            upper.plot(time_ps, log[name] - log[name][0], color=colour, lw=1.1, label=label)
    change = log["potential_energy_eV"] - log["potential_energy_eV"][0]
    _mean_line(upper, time_ps[averaged], change[averaged], "mean potential {:+.3f} eV")
    upper.set_ylabel("energy change (eV)")
    lower.plot(time_ps, log["temperature_K"], color=_TEMPERATURE_COLOUR, lw=1.1)
    _mean_line(lower, time_ps[averaged], log["temperature_K"][averaged], "mean {:.0f} K")
    lower.set_ylabel("temperature (K)")
    lower.set_xlabel("time (ps)")
    for axes in (upper, lower):
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(alpha=0.25, lw=0.6)
        axes.margins(x=0.01)
        axes.legend(loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=4, frameon=False)
    return figure


def _mean_line(axes: Axes, time_ps: np.ndarray, values: np.ndarray, label: str) -> None:
    """A dashed line at the mean, over the span that it is the mean of."""
    if len(values):
        mean = values.mean()
        ends = [time_ps[0], time_ps[-1]]
        axes.plot(ends, [mean, mean], color="black", ls="--", lw=1.0, label=label.format(mean))
