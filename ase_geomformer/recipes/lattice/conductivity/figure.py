"""Figure of a thermal conductivity."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ase_geomformer.runs.style import (
    BLUE,
    GREEN,
    ORANGE,
    PAGE,
    drawing,
    dress,
    new_figure,
    plain_log_ticks,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ase_geomformer.recipes.lattice.conductivity.result import ConductivityResult

# Shorter than any vibration lives: not drawn.
_SHORTEST_PS = 1e-3


@drawing
def draw_conductivity(result: ConductivityResult) -> Figure:
    """Conductivity by temperature, its growth with frequency, and lifetimes near 300 K."""
    figure = new_figure(PAGE, 2.6)
    left, middle, right = figure.subplots(1, 3)
    transport, temperatures = result.transport, result.temperatures_K
    row = int(np.argmin(np.abs(temperatures - 300.0)))
    for part, name, colour in zip(range(3), ("xx", "yy", "zz"), (BLUE, GREEN, ORANGE), strict=True):
        left.plot(temperatures, result.conductivity_W_per_mK[:, part], color=colour, label=name)
    left.set_xlabel("temperature (K)")
    left.set_ylabel("conductivity (W/m/K)")
    if (result.conductivity_W_per_mK[:, :3] > 0).all() and len(temperatures) > 1:
        left.set_xscale("log")
        left.set_yscale("log")
        plain_log_ticks(left.xaxis)
        plain_log_ticks(left.yaxis)
    left.legend(frameon=False)
    order = np.argsort(transport.frequencies_THz, axis=None)
    frequencies = transport.frequencies_THz.ravel()[order]
    share = transport.mode_conductivity_W_per_mK[row][:, :, :3].mean(axis=2).ravel()[order]
    grown = np.cumsum(share)
    middle.plot(frequencies, grown / grown[-1], color=BLUE)
    middle.set_xlabel("frequency (THz)")
    middle.set_ylabel(f"share of conductivity at {temperatures[row]:g} K")
    lifetimes = transport.lifetimes_ps[row]
    drawn = np.isfinite(lifetimes) & (lifetimes > _SHORTEST_PS)
    right.semilogy(
        transport.frequencies_THz[drawn], lifetimes[drawn], ".", color=GREEN, ms=3, alpha=0.6
    )
    right.set_xlabel("frequency (THz)")
    right.set_ylabel(f"lifetime at {temperatures[row]:g} K (ps)")
    for axes in figure.axes:
        dress(axes)
    return figure
