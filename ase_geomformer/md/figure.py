"""The figure of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ase_geomformer.md.settings import MDSettings
from ase_geomformer.runs.style import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PAGE,
    PURPLE,
    curve,
    drawing,
    dress,
    new_figure,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_ENERGIES = {
    "potential_energy_eV": ("potential", BLUE),
    "total_energy_eV": ("total", GREY),
    "conserved_energy_eV": ("conserved", GREEN),
}
# Panels below the energies, where the log has them: label, unit and colour.
_PANELS = {
    "temperature_K": ("temperature", "K", ORANGE),
    "pressure_GPa": ("pressure", "GPa", PURPLE),
}


@drawing
def plot(log: dict[str, np.ndarray], settings: MDSettings) -> Figure:
    """Energies, temperature and any pressure against time, as a figure apart from pyplot's.

    Parameters
    ----------
    log : dict of str to array
        Columns of the log, one row at least.
    settings : MDSettings
    """
    shown = [name for name in _PANELS if name in log]
    figure = new_figure(PAGE, 2.5 + 2.5 * len(shown))
    panels = figure.subplots(1 + len(shown), 1, sharex=True)
    upper = panels[0]
    time_ps = log["time_fs"] / 1000.0
    # Of a run that was stopped early there may be one row, which a line does not show.
    style = curve(len(time_ps))
    averaged = log["step"] >= settings.equilibration_steps
    for name, (label, colour) in _ENERGIES.items():
        if name in log:
            upper.plot(
                time_ps,
                log[name] - log[name][0],
                color=colour,
                label=label,
                **style,
            )
    change = log["potential_energy_eV"] - log["potential_energy_eV"][0]
    _mean_line(upper, time_ps[averaged], change[averaged], "mean potential {:+.3f} eV")
    upper.set_ylabel("energy change (eV)")
    for axes, name in zip(panels[1:], shown, strict=True):
        label, unit, colour = _PANELS[name]
        axes.plot(time_ps, log[name], color=colour, **style)
        _mean_line(axes, time_ps[averaged], log[name][averaged], f"mean {{:.3g}} {unit}")
        axes.set_ylabel(f"{label} ({unit})")
    panels[-1].set_xlabel("time (ps)")
    for axes in panels:
        dress(axes)
        axes.margins(x=0.01)
        axes.legend(loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=4, frameon=False)
    return figure


def _mean_line(axes: Axes, time_ps: np.ndarray, values: np.ndarray, label: str) -> None:
    """A dashed line at the mean, over the span that it is the mean of."""
    if len(values):
        mean = values.mean()
        ends = [time_ps[0], time_ps[-1]]
        axes.plot(ends, [mean, mean], color="black", ls="--", lw=1.0, label=label.format(mean))
