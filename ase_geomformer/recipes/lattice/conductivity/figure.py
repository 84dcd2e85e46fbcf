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
# Relative difference of curves that would hide each other.
_EQUAL = 1e-3


@drawing
def draw_conductivity(result: ConductivityResult) -> Figure:
    """Conductivity by temperature, its growth with frequency, and lifetimes near 300 K."""
    figure = new_figure(PAGE, 2.6)
    left, middle, right = figure.subplots(1, 3)
    transport, temperatures = result.transport, result.temperatures_K
    row = int(np.argmin(np.abs(temperatures - 300.0)))
    for (name, values), colour in zip(_curves(result).items(), (BLUE, GREEN, ORANGE), strict=False):
        left.plot(temperatures, values, color=colour, label=name)
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


def _curves(result: ConductivityResult) -> dict[str, np.ndarray]:
    """Diagonal of the conductivity by temperature; what is equal has one name, as xx = yy."""
    curves: dict[str, np.ndarray] = {}
    for axis, values in zip(("xx", "yy", "zz"), result.conductivity_W_per_mK.T, strict=False):
        same = [name for name, other in curves.items() if np.allclose(other, values, rtol=_EQUAL)]
        curves[" = ".join([*same, axis])] = curves.pop(same[0]) if same else values
    return curves
