"""The figures of the analysis of a trajectory."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from ase_geomformer.md.analysis.bonds import Bonds
from ase_geomformer.md.analysis.diffusion import MSD
from ase_geomformer.md.analysis.rdf import RDF
from ase_geomformer.md.analysis.transport import GreenKubo
from ase_geomformer.md.analysis.vibrations import VACF
from ase_geomformer.runs.style import (
    BLUE,
    COLUMN,
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

_COLUMNS = 3
_FASTEST_PER_CM = 4500.0


@drawing
def radial(rdfs: Mapping[str, RDF]) -> Figure:
    """Radial distributions, one panel by pair."""
    figure = new_figure(PAGE, _height(len(rdfs)))
    panels = _panels(figure, len(rdfs))
    for axes, (pair, rdf) in zip(panels, rdfs.items(), strict=True):
        axes.plot(rdf.distance, rdf.density if rdf.g is None else rdf.g, color=BLUE, lw=1.2)
        axes.set_title(pair, loc="left")
        axes.set_xlabel("distance (Å)")
        axes.set_ylabel("density (1/Å³)" if rdf.g is None else "g(r)")
        dress(axes)
    return figure


@drawing
def bonded(bonds: Bonds) -> Figure:
    """Distributions of bond lengths, then of angles, one panel each."""
    entries = [(name, one, "length (Å)", "density (1/Å)") for name, one in bonds.lengths.items()]
    for name, one in bonds.angles.items():
        entries.append((name, one, "angle (degrees)", "density (1/degree)"))
    figure = new_figure(PAGE, _height(len(entries)))
    panels = _panels(figure, len(entries))
    for axes, (name, one, label, density) in zip(panels, entries, strict=True):
        axes.fill_between(one.value, one.density, color=BLUE, alpha=0.3, lw=0)
        axes.plot(one.value, one.density, color=BLUE, lw=1.0)
        axes.set_title(name, loc="left")
        axes.set_xlabel(label)
        axes.set_ylabel(density)
        axes.set_ylim(bottom=0.0)
        dress(axes)
    return figure


@drawing
def displacement(diffusion: Mapping[str, MSD]) -> Figure:
    """Mean square displacements."""
    figure = new_figure(PAGE, 3.0)
    axes = figure.subplots()
    for (name, one), colour in zip(diffusion.items(), _colours(len(diffusion)), strict=True):
        found = f"{one.diffusion_A2_per_ps:.3g} ± {one.error_A2_per_ps:.1g} Å²/ps"
        axes.plot(one.time_ps, one.msd, color=colour, label=f"{name}: {found}")
    axes.set_xlabel("time (ps)")
    axes.set_ylabel("mean square displacement (Å²)")
    axes.legend(frameon=False, loc="upper left")
    axes.margins(y=0.15)
    dress(axes)
    return figure


@drawing
def spectra(vibrations: Mapping[str, VACF]) -> Figure:
    """Vibrational densities of states from velocities."""
    figure = new_figure(PAGE, 3.0)
    axes = figure.subplots()
    for (name, one), colour in zip(vibrations.items(), _colours(len(vibrations)), strict=True):
        axes.plot(one.wavenumber, one.density_of_states, color=colour, lw=1.1, label=name)
    last = max(float(one.wavenumber[-1]) for one in vibrations.values())
    axes.set_xlim(0.0, min(last, _FASTEST_PER_CM))
    axes.set_ylim(bottom=0.0)
    axes.set_xlabel("wavenumber (cm$^{-1}$)")
    axes.set_ylabel("density of states (1/THz)")
    axes.legend(frameon=False)
    dress(axes)
    return figure


@drawing
def integral(name: str, found: GreenKubo) -> Figure:
    """The running integral of an autocorrelation, and the result, with standard errors."""
    figure = new_figure(COLUMN, 3.0)
    axes = figure.subplots()
    low, high = found.running - found.spread, found.running + found.spread
    axes.fill_between(found.time_ps, low, high, color=BLUE, alpha=0.2, lw=0)
    axes.plot(found.time_ps, found.running, color=BLUE, lw=1.2, label="integral up to a time")
    around = (found.value - found.error, found.value + found.error)
    axes.axhspan(*around, color=ORANGE, alpha=0.2, lw=0)
    axes.axhline(found.value, color=ORANGE, ls="--", lw=1.0, label="from the spectrum")
    axes.axhline(0.0, color=GREY, lw=0.6)
    axes.set_title(f"{found.value:.3g} ± {found.error:.1g} {found.unit}", loc="left")
    axes.set_xlabel("time (ps)")
    axes.set_ylabel(f"{name} ({found.unit})")
    figure.legend(frameon=False, loc="outside lower center", ncols=2)
    dress(axes)
    return figure


def _rows(count: int) -> int:
    return max(1, -(-count // _COLUMNS))


def _height(count: int) -> float:
    return 2.2 * _rows(count)


def _panels(figure: Figure, count: int) -> list[Axes]:
    """So many panels, three in a row."""
    grid = np.ravel(figure.subplots(_rows(count), _COLUMNS, squeeze=False))
    for axes in grid[count:]:
        axes.remove()
    return list(grid[:count])


def _colours(count: int) -> list[str]:
    """The first is black, for all atoms."""
    return ["#000000", *(SERIES[place % (len(SERIES) - 1)] for place in range(count - 1))]
