"""Radial distribution functions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from ase.geometry import complete_cell

from ase_geomformer.md.analysis.frames import Frames
from ase_geomformer.runs.style import BLUE, COLUMN, drawing, dress, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, eq=False)
class RDF:
    """Atoms of one element around those of another.

    Attributes
    ----------
    elements : tuple of (str or None)
        Around which, and which; None is any.
    distance : array (B,), Å
        Middles of the bins.
    density : array (B,), 1/Å^3
        Number density at that distance from an atom.
    g : array (B,) or None
        Density relative to the mean one; None without three periodic directions, where there is
        no mean density.
    coordination : array (B,)
        Mean number of neighbours up to the outer edge of each bin.
    """

    elements: tuple[str | None, str | None]
    distance: np.ndarray
    density: np.ndarray
    g: np.ndarray | None
    coordination: np.ndarray

    @property
    def shell(self) -> tuple[float, float, float]:
        """Distances of the first maximum and the minimum after it, Å, and the neighbours up to it.

        The maximum is the highest; the minimum the lowest up to 1.9 times its distance.
        """
        curve = self.density if self.g is None else self.g
        top = int(curve.argmax())
        beyond = int(np.searchsorted(self.distance, 1.9 * self.distance[top]))
        low = top + int(curve[top : max(beyond, top + 1)].argmin())
        return float(self.distance[top]), float(self.distance[low]), float(self.coordination[low])

    @drawing
    def plot(self) -> Figure:
        """g(r), or the density without one, as a figure apart from pyplot's."""
        figure = new_figure(COLUMN, 2.6)
        axes = figure.subplots()
        axes.plot(self.distance, self.density if self.g is None else self.g, color=BLUE)
        names = "-".join(name or "all" for name in self.elements)
        axes.set_xlabel(f"{names} distance (Å)")
        axes.set_ylabel("g(r)" if self.g is not None else "density (1/Å³)")
        dress(axes)
        return figure


def radial_distribution(
    frames: Frames,
    first: str | None = None,
    second: str | None = None,
    *,
    max_distance: float = 6.0,
    bins: int = 200,
) -> RDF:
    """Mean radial distribution of element ``second`` around element ``first``.

    Parameters
    ----------
    frames : Frames
    first, second : str, optional
        Elements; any when left out.
    max_distance : float, Å
        May exceed half the cell; images are counted.
    bins : int

    Raises
    ------
    ValueError
        If there are no frames, or no atoms of an element.
    """
    from matscipy.neighbours import neighbour_list

    around, counted = frames.select(first), frames.select(second)
    if len(frames) == 0:
        raise ValueError("there are no frames")
    edges = np.linspace(0.0, max_distance, bins + 1)
    counts, mean_density = np.zeros(bins), 0.0
    for positions, cell in zip(frames.positions, frames.cells, strict=True):
        i, j, distances = neighbour_list(
            "ijd", positions=positions, cell=complete_cell(cell), pbc=frames.pbc,
            cutoff=max_distance,
        )  # fmt: skip
        counts += np.histogram(distances[around[i] & counted[j]], edges)[0]
        if frames.pbc.all():
            mean_density += counted.sum() / abs(np.linalg.det(cell)) / len(frames)
    counts /= len(frames) * around.sum()
    density = counts / (4.0 / 3.0 * np.pi * np.diff(edges**3))
    return RDF(
        (first, second),
        (edges[1:] + edges[:-1]) / 2.0,
        density,
        density / mean_density if frames.pbc.all() else None,
        counts.cumsum(),
    )
