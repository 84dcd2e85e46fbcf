"""The figure of a relaxation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ase_geomformer.recipes.relaxation.settings import RelaxSettings
from ase_geomformer.runs.style import COLOURS, COLUMN, GREY, drawing, dress, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ase_geomformer.recipes.relaxation.result import RelaxResult


@drawing
def plot(history: dict[str, np.ndarray], settings: RelaxSettings) -> Figure:
    """Energy above the last, largest force and any stress against the step.

    Parameters
    ----------
    history : dict of str to array
        As in RelaxResult.
    settings : RelaxSettings
    """
    panels = [("fmax_eV_per_A", "largest force (eV/Å)", settings.fmax, "forces")]
    if "smax_GPa" in history:
        panels.append(("smax_GPa", "largest stress (GPa)", settings.smax_GPa, "stress"))
    figure = new_figure(COLUMN, 1.7 * (1 + len(panels)))
    axes = figure.subplots(1 + len(panels), 1, sharex=True)
    change = history["energy_eV"] - history["energy_eV"][-1]
    axes[0].plot(change, color=COLOURS["energy"], marker=".", lw=1.2)
    axes[0].set_ylabel("energy above\nthe last (eV)")
    for panel, (name, label, limit, colour) in zip(axes[1:], panels, strict=True):
        _falling(panel, history[name], limit, COLOURS[colour])
        panel.set_ylabel(label)
    axes[-1].set_xlabel("step")
    axes[-1].xaxis.get_major_locator().set_params(integer=True)
    for panel in axes:
        dress(panel)
    return figure


def _falling(panel: Axes, values: np.ndarray, limit: float, colour: str) -> None:
    """A positive quantity on a logarithmic axis, with the limit that it should pass."""
    positive = np.where(values > 0, values, np.nan)
    panel.plot(positive, color=colour, marker=".", lw=1.2)
    panel.axhline(limit, color=GREY, ls="--", lw=1.0)
    panel.set_yscale("log")


@drawing
def plot_many(results: Sequence[RelaxResult]) -> Figure:
    """How many steps structures took, and how much energy they lost.

    Parameters
    ----------
    results : sequence of RelaxResult
    """
    figure = new_figure(COLUMN, 4.0)
    upper, lower = figure.subplots(2, 1)
    groups = {
        "converged": (COLOURS["forces"], [r for r in results if r.converged]),
        "not converged": (COLOURS["stress"], [r for r in results if not r.converged]),
    }
    shown = {label: group for label, group in groups.items() if group[1]}
    colours = [colour for colour, _ in shown.values()]
    steps = [[r.steps for r in members] for _, members in shown.values()]
    gains = [[_gain(r) for r in members] for _, members in shown.values()]
    for axes, values, label in (
        (upper, steps, "steps"),
        (lower, gains, "energy change (eV/atom)"),
    ):
        finite = [np.array(group)[np.isfinite(group)] for group in values]
        whole = label == "steps"
        bins = _whole_bins(finite) if whole else 30
        axes.hist(finite, bins=bins, stacked=True, color=colours, label=list(shown))
        axes.yaxis.get_major_locator().set_params(integer=True)
        if whole:
            axes.xaxis.get_major_locator().set_params(integer=True)
        axes.set_xlabel(label)
        axes.set_ylabel("structures")
        dress(axes)
    upper.legend(frameon=False, ncols=2, loc="lower left", bbox_to_anchor=(0.0, 1.0))
    return figure


def _whole_bins(values: Sequence[np.ndarray]) -> np.ndarray:
    """Edges half-way between whole numbers, for 30 bars or fewer."""
    joined = np.concatenate(values)
    low, high = joined.min(), joined.max()
    width = np.ceil((high - low + 1) / 30)
    return np.arange(low - 0.5, high + 0.5 + width, width)


def _gain(result: RelaxResult) -> float:
    return float(result.energy - result.history["energy_eV"][0]) / len(result.atoms)
