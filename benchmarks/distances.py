"""Distances of atoms in dynamics: bond lengths of molecules, radial distribution of crystals."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations_with_replacement

import numpy as np
from ase import Atoms
from ase.data import chemical_symbols
from ase.neighborlist import natural_cutoffs, neighbor_list
from matplotlib.figure import Figure

from ase_geomformer.md.analysis import Frames, radial_distribution
from ase_geomformer.runs.style import dress, new_figure

BOND_FACTOR = 1.2  # of the sum of covalent radii
FARTHEST_A = 6.0
BINS = 120
BOND_BINS_A = 0.01
GREYS = ("0.72", "0.5")
COLOURS = ("#1f5a94", "#c2571a", "#1b8a5a")


@dataclass(frozen=True)
class Distances:
    """Distributions by pair of elements, and the numbers quoted from them.

    ``curves`` holds distance (Å) and density of each pair; ``kind`` is the name of the latter.
    """

    kind: str
    curves: Mapping[str, tuple[np.ndarray, np.ndarray]]
    values: Mapping[str, float]


def radial(frames: Frames) -> Distances:
    """Radial distribution of each pair of elements, and its first peak."""
    curves, values = {}, {}
    for first, second in combinations_with_replacement(sorted(set(frames.numbers)), 2):
        symbols = chemical_symbols[first], chemical_symbols[second]
        found = radial_distribution(frames, *symbols, max_distance=FARTHEST_A, bins=BINS)
        assert found.g is not None
        pair, peak = "-".join(symbols), int(np.argmax(found.g))
        reached = int(np.argmax(found.g > 0.0))
        curves[pair] = (found.distance[reached:], found.g[reached:])
        values[f"{pair}_highest_peak_A"] = float(found.distance[peak])
        values[f"{pair}_height_of_highest_peak"] = float(found.g[peak])
    return Distances("g(r)", curves, values)


def bond_lengths(runs: list[Frames], starts: list[Atoms]) -> Distances:
    """Lengths of the bonds of each pair of elements, all molecules together.

    Bonds are those of the starting structures, so that a broken one counts as a long one.
    """
    lengths: dict[str, list[np.ndarray]] = {}
    for run, start in zip(runs, starts, strict=True):
        for pair, bonds in bonds_of(start).items():
            apart = run.positions[:, bonds[:, 0]] - run.positions[:, bonds[:, 1]]
            lengths.setdefault(pair, []).append(np.linalg.norm(apart, axis=-1).ravel())
    curves, values = {}, {}
    for pair in sorted(lengths):
        found = np.concatenate(lengths[pair])
        edges = np.arange(found.min() - 0.05, found.max() + 0.05, BOND_BINS_A)
        density, _ = np.histogram(found, edges, density=True)
        curves[pair] = ((edges[1:] + edges[:-1]) / 2.0, density)
        values[f"{pair}_bond_mean_A"] = float(found.mean())
        values[f"{pair}_bond_spread_A"] = float(found.std())
        values[f"{pair}_bond_longest_A"] = float(found.max())
    return Distances("probability density (1/Å)", curves, values)


def bonds_of(atoms: Atoms) -> dict[str, np.ndarray]:
    """Pairs of bonded atoms, shape (B, 2), by pair of elements."""
    first, second = neighbor_list("ij", atoms, natural_cutoffs(atoms, mult=BOND_FACTOR))
    found: dict[str, list[tuple[int, int]]] = {}
    for i, j in zip(first, second, strict=True):
        if i < j:
            pair = "-".join(sorted(atoms.symbols[k] for k in (i, j)))
            found.setdefault(pair, []).append((i, j))
    return {pair: np.array(bonds) for pair, bonds in found.items()}


def draw(sets: Mapping[str, Distances]) -> Figure:
    """A panel for each pair of elements, with the data filled and the runs as lines."""
    pairs = list(dict.fromkeys(pair for found in sets.values() for pair in found.curves))
    columns = min(len(pairs), 4)
    rows = -(-len(pairs) // columns)
    figure = new_figure(max(2.6 * columns, 5.6), 2.4 * rows + 0.6)
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes in panels[len(pairs) :]:
        axes.set_visible(False)
    for axes, pair in zip(panels, pairs, strict=False):
        dress(axes)
        greys, colours = iter(GREYS), iter(COLOURS)
        for name, found in sets.items():
            distance, density = found.curves[pair]
            if name.startswith("data"):
                axes.fill_between(distance, density, step="mid", color=next(greys), label=name)
            else:
                axes.plot(distance, density, color=next(colours), lw=1.2, label=name)
        axes.set_xlabel(f"{pair} distance (Å)")
        axes.set_ylim(0.0)
    panels[0].set_ylabel(next(iter(sets.values())).kind)
    handles, names = panels[0].get_legend_handles_labels()
    figure.legend(
        handles, names, loc="outside upper center", ncols=2 if columns < 3 else 4, frameon=False
    )
    return figure
