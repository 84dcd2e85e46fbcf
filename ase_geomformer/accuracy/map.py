"""A map of structures: their descriptors in the plane of the largest differences."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ase_geomformer.runs.style import COLUMN, SERIES, drawing, dress, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_GROUPS = 7


def plane(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Places (S, 2) along the two principal components, and their shares of the variance (2,).

    The sign of each component is such that its entry of the largest size is positive.
    """
    centred = rows - rows.mean(axis=0)
    _, lengths, ways = np.linalg.svd(centred, full_matrices=False)
    count = min(2, len(lengths))
    ways = ways[:count]
    largest = np.abs(ways).argmax(axis=1)
    ways = ways * np.sign(ways[np.arange(count), largest])[:, None]
    places = np.zeros((len(rows), 2))
    places[:, :count] = centred @ ways.T
    shares = np.zeros(2)
    shares[:count] = np.square(lengths[:count]) / max(np.square(lengths).sum(), 1e-300)
    return places, shares


@drawing
def descriptor_map(rows: np.ndarray, groups: Sequence[str]) -> Figure:
    """Structures as points, those of one group in one colour.

    Parameters
    ----------
    rows : array (S, D)
    groups : sequence of str
        What each structure is, such as its formula.
    """
    places, shares = plane(rows)
    figure = new_figure(COLUMN, 3.2)
    axes = figure.subplots()
    dress(axes)
    names = list(dict.fromkeys(groups))
    shown = names if len(names) <= MOST_GROUPS else names[: MOST_GROUPS - 1]
    labels = np.array([group if group in shown else "others" for group in groups])
    for place, label in enumerate(dict.fromkeys(labels)):
        own, colour = places[labels == label], SERIES[place % len(SERIES)]
        axes.plot(*own.T, "o", color=colour, markersize=3, alpha=0.7, label=label)
    for axis, share, name in zip("xy", shares, ("first", "second"), strict=True):
        axes.set(**{f"{axis}label": f"{name} principal component ({100 * share:.0f} %)"})
    if len(names) > 1:
        axes.legend()
    return figure
