"""Bond lengths and angles."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from ase.data import chemical_symbols, covalent_radii
from ase.geometry import complete_cell

from ase_geomformer.md.analysis.frames import Frames


@dataclass(frozen=True, eq=False)
class Distribution:
    """How often lengths or angles occur.

    Attributes
    ----------
    value : array (B,)
        Middles of the bins, Å or degrees.
    density : array (B,)
        By Å or degree; its integral is 1.
    mean, std : float
    number_per_frame : float
    """

    value: np.ndarray
    density: np.ndarray
    mean: float
    std: float
    number_per_frame: float


@dataclass(frozen=True, eq=False)
class Bonds:
    """Lengths of bonds by their elements, and angles between them, the middle atom's in the middle.

    Attributes
    ----------
    lengths, angles : dict of str to Distribution
        By names such as "H-O" and "H-O-H".
    """

    lengths: dict[str, Distribution]
    angles: dict[str, Distribution]


def bonds_and_angles(
    frames: Frames, *, scale: float = 1.25, every: int = 1, bins: int = 180
) -> Bonds:
    """Distributions of bond lengths and angles.

    Two atoms are bonded in a frame where they are nearer than the sum of their covalent radii
    (B. Cordero et al., Dalton Trans. 2832 (2008)) times ``scale``.

    Parameters
    ----------
    frames : Frames
    scale : float
    every : int
        Takes every so many-th frame.
    bins : int

    Raises
    ------
    ValueError
        If there are no frames.
    """
    from matscipy.neighbours import neighbour_list

    if len(frames) == 0:
        raise ValueError("there are no frames")
    radii = scale * covalent_radii[frames.numbers]
    lengths: dict[str, list[np.ndarray]] = {}
    angles: dict[str, list[np.ndarray]] = {}
    chosen = range(0, len(frames), every)
    for number in chosen:
        i, j, d, r = neighbour_list(
            "ijdD", positions=frames.positions[number], cell=complete_cell(frames.cells[number]),
            pbc=frames.pbc, cutoff=2.0 * float(radii.max()),
        )  # fmt: skip
        bonded = d < radii[i] + radii[j]
        i, j, d, r = i[bonded], j[bonded], d[bonded], r[bonded]
        once = (i < j) | ((i == j) & (r[:, 2] > 0))
        _collect(lengths, frames.numbers, (i[once], j[once]), d[once])
        first, second = _neighbours_of_one(i)
        cosines = np.einsum("ba,ba->b", r[first], r[second]) / (d[first] * d[second])
        between = np.degrees(np.arccos(np.clip(cosines, -1.0, 1.0)))
        _collect(angles, frames.numbers, (j[first], i[first], j[second]), between)
    count = len(chosen)
    return Bonds(
        {name: _distribution(parts, None, bins, count) for name, parts in sorted(lengths.items())},
        {
            name: _distribution(parts, (0.0, 180.0), bins, count)
            for name, parts in sorted(angles.items())
        },
    )


def _neighbours_of_one(i: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of bonds of the same atom, each once; ``i`` rises."""
    first, second = [], []
    for apart in range(1, int(np.bincount(i).max(initial=1))):
        same = np.flatnonzero(i[:-apart] == i[apart:])
        first.append(same)
        second.append(same + apart)
    empty = [np.zeros(0, dtype=int)]
    return np.concatenate(empty + first), np.concatenate(empty + second)


def _collect(
    found: dict[str, list[np.ndarray]],
    numbers: np.ndarray,
    atoms: tuple[np.ndarray, ...],
    values: np.ndarray,
) -> None:
    """Add values by the elements of their atoms, the ends in the order of the alphabet."""
    elements = numbers[np.array(atoms)]
    for kind in np.unique(elements, axis=1).T:
        names = [chemical_symbols[number] for number in kind]
        names = names if names[0] <= names[-1] else names[::-1]
        here = (elements == kind[:, None]).all(axis=0)
        found.setdefault("-".join(names), []).append(values[here])


def _distribution(
    parts: list[np.ndarray], limits: tuple[float, float] | None, bins: int, frames: int
) -> Distribution:
    values = np.concatenate(parts)
    low, high = limits or (float(values.min()) - 0.02, float(values.max()) + 0.02)
    density, edges = np.histogram(values, bins=bins, range=(low, high), density=True)
    return Distribution(
        0.5 * (edges[1:] + edges[:-1]),
        density,
        float(values.mean()),
        float(values.std()),
        len(values) / frames,
    )
