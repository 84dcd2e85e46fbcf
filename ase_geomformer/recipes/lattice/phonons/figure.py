"""Figures of phonon calculations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from ase import units

from ase_geomformer.recipes.lattice.bands import Bands
from ase_geomformer.runs.style import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PAGE,
    SERIES,
    drawing,
    dress,
    new_figure,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ase_geomformer.recipes.lattice.phonons.result import PhononResult

# Height of a panel, for a legend above its curves.
_HEADROOM = 1.5


@drawing
def draw_bands(result: PhononResult) -> Figure:
    """Bands, with the density of states beside them."""
    figure = new_figure(PAGE, 3.8)
    left, right = figure.subplots(1, 2, sharey=True, width_ratios=(3.2, 1.0))
    plot_bands(left, result.bands, BLUE)
    left.set_ylabel("frequency (THz)")
    found = np.concatenate(result.bands.frequencies_THz)
    lowest, highest = min(0.0, found.min()), found.max()
    # Translations at Γ are zero but for rounding.
    left.set_ylim(1.05 * lowest if lowest < -0.01 * highest else 0.0, 1.05 * highest)
    dos = result.dos
    right.fill_betweenx(dos.frequencies_THz, dos.total_per_THz, color=BLUE, alpha=0.12, lw=0)
    right.plot(dos.total_per_THz, dos.frequencies_THz, color=BLUE, lw=1.1, label="total")
    if len(dos.by_element_per_THz) > 1:
        for place, (name, part) in enumerate(dos.by_element_per_THz.items()):
            colour = SERIES[1:][place % len(SERIES[1:])]  # the total has the first
            right.plot(part, dos.frequencies_THz, color=colour, lw=1.0, label=name)
        right.legend(frameon=False)
    right.set_xlabel("states / THz")
    right.set_xlim(left=0.0)
    dress(right)
    return figure


@drawing
def draw_overlay(results: Mapping[str, PhononResult]) -> Figure:
    """Bands of several calculations over each other, such as those at several temperatures.

    Parameters
    ----------
    results : mapping of str to PhononResult
        By what the legend calls them; of one crystal, so that the paths are alike.
    """
    figure = new_figure(PAGE, 3.8)
    axes = figure.subplots()
    for place, (label, result) in enumerate(results.items()):
        colour = SERIES[place % len(SERIES)]
        plot_bands(
            axes, _stretched(result.bands, next(iter(results.values())).bands), colour, label
        )
    axes.set_ylabel("frequency (THz)")
    axes.legend(frameon=False)
    return figure


def _stretched(bands: Bands, first: Bands) -> Bands:
    """Bands drawn at the distances of others: cells of other sizes have other reciprocal ones."""
    distances = []
    for own, other in zip(bands.distances, first.distances, strict=True):
        share = (own - own[0]) / (own[-1] - own[0])
        distances.append(other[0] + share * (other[-1] - other[0]))
    return replace(bands, distances=distances)


def plot_bands(axes: Axes, bands: Bands, colour: str, label: str | None = None) -> None:
    """Draw bands, with the names of the path's points below."""
    for number, (distances, frequencies) in enumerate(
        zip(bands.distances, bands.frequencies_THz, strict=True)
    ):
        lines = axes.plot(distances, frequencies, color=colour, lw=1.0)
        if number == 0 and label:
            lines[0].set_label(label)
    label_path(axes, bands)


def label_path(axes: Axes, bands: Bands) -> None:
    """Name the points of the path below, and draw lines at them and at zero."""
    ticks: dict[float, str] = {}
    for ends, distances in zip(bands.labels, bands.distances, strict=True):
        for end, place in zip(ends, (float(distances[0]), float(distances[-1])), strict=True):
            there = ticks.get(place, end)
            ticks[place] = there if end in there.split("|") else f"{there}|{end}"
    dress(axes)
    axes.grid(visible=False, axis="x")
    for place in ticks:
        axes.axvline(place, color=GREY, lw=0.6)
    axes.axhline(0.0, color=GREY, lw=0.6)
    axes.set_xticks(list(ticks), [_subscript(name) for name in ticks.values()])
    axes.set_xlim(min(ticks), max(ticks))


@drawing
def draw_thermal(result: PhononResult) -> Figure:
    """Free energy, entropy and heat capacity, and mean square displacements."""
    thermal = result.thermal
    atoms = len(result.phonon.primitive)
    figure = new_figure(PAGE, 2.6)
    energy, heat, motion = figure.subplots(1, 3)
    temperatures = thermal.temperatures_K
    energy.plot(temperatures, 1000.0 * thermal.free_energy_eV / atoms, color=BLUE)
    energy.set_ylabel("free energy (meV/atom)")
    scale = 1e3 / atoms
    heat.plot(temperatures, scale * thermal.entropy_eV_per_K, color=GREEN, label="entropy")
    heat.plot(
        temperatures, scale * thermal.heat_capacity_eV_per_K, color=ORANGE, label="heat capacity"
    )
    heat.axhline(3e3 * units.kB, color=GREY, lw=0.8, ls="--", label="Dulong and Petit")
    heat.set_ylabel("meV/K/atom")
    # Above the curves, which begin at zero.
    heat.set_ylim(top=_HEADROOM * max(np.max(line.get_ydata()) for line in heat.lines))
    heat.legend(frameon=False, loc="upper left")
    elements = np.array(result.phonon.primitive.symbols)
    for place, name in enumerate(dict.fromkeys(elements.tolist())):
        mean = thermal.mean_square_displacement_A2[:, elements == name].mean(axis=1)
        colour = SERIES[place % len(SERIES)]
        motion.plot(temperatures, mean, color=colour, label=name)
    motion.set_ylabel("mean square displacement (Å$^2$)")
    motion.legend(frameon=False)
    _finish(figure.axes, "temperature (K)")
    return figure


def _finish(panels: Sequence[Axes], label: str) -> None:
    for axes in panels:
        dress(axes)
        axes.set_xlabel(label)
        axes.margins(x=0.0)


def _subscript(name: str) -> str:
    """H_2 as matplotlib sets it."""
    parts = []
    for part in name.split("|"):
        letter, _, index = part.partition("_")
        parts.append(f"{letter}$_{{{index}}}$" if index else letter)
    return "|".join(parts)
