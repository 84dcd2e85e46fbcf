"""Choosing structures to label: at random, by uncertainty, and far from one another."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from ase import Atoms
from ase.neighborlist import neighbor_list
from numpy.typing import NDArray

from ase_geomformer.learning.committee_errors import Predicted

Array = NDArray[np.float64]
# Radii of the histogram of distances, Å, and their width.
RADII = np.linspace(0.6, 5.0, 45)
WIDTH = 0.1


def descriptor(atoms: Atoms, elements: Sequence[int]) -> Array:
    """Smoothed histograms of distances, one for each pair of elements, per atom.

    Parameters
    ----------
    atoms : ase.Atoms
    elements : sequence of int
        Atomic numbers that structures to compare may have.
    """
    place = {number: index for index, number in enumerate(elements)}
    i, j, distances = neighbor_list("ijd", atoms, float(RADII[-1]))
    kinds = np.array([place[int(number)] for number in atoms.numbers])
    first, second = np.minimum(kinds[i], kinds[j]), np.maximum(kinds[i], kinds[j])
    weights = np.exp(-0.5 * np.square((distances[:, None] - RADII) / WIDTH))
    found = np.zeros((len(elements), len(elements), len(RADII)))
    # Near neighbours change more between structures than the many far ones.
    np.add.at(found, (first, second), weights / (1.0 + distances[:, None]))
    return np.array(found[np.triu_indices(len(elements))].ravel() / len(atoms))


def farthest_points(candidates: Array, known: Array, number: int) -> list[int]:
    """Rows of ``candidates`` (C, D), each the farthest from ``known`` (K, D) and those before.

    With nothing known, the first is the one farthest from the mean.
    """
    if not len(candidates):
        return []
    start = known if len(known) else candidates.mean(axis=0, keepdims=True)
    nearest = np.min([np.linalg.norm(candidates - row, axis=1) for row in start], axis=0)
    chosen: list[int] = []
    for _ in range(min(number, len(candidates))):
        best = int(nearest.argmax())
        chosen.append(best)
        nearest = np.minimum(nearest, np.linalg.norm(candidates - candidates[best], axis=1))
        nearest[best] = -1.0
    return chosen


def uncertainty(predicted: Predicted, factor: float = 1.0) -> float:
    """Largest calibrated spread of an atom's force in a structure, eV/Å."""
    return float(factor * predicted.spread.max())


def select_uncertain(
    structures: Sequence[Atoms],
    predicted: Sequence[Predicted],
    known: Sequence[Atoms],
    number: int,
) -> list[int]:
    """Indices of structures that the students know least of, and that differ from one another.

    Of the quarter with the largest uncertainty, or four times ``number`` if that is more, the
    farthest points in the space of :func:`descriptor` are taken. No threshold is needed.
    """
    order = np.argsort([-uncertainty(one) for one in predicted], kind="stable")
    pool = order[: max(len(order) // 4, min(4 * number, len(order)))].tolist()
    return [pool[index] for index in diverse([structures[i] for i in pool], known, number)]


def diverse(structures: Sequence[Atoms], known: Sequence[Atoms], number: int) -> list[int]:
    """Indices of structures far from the known ones and from one another."""
    elements = sorted({int(z) for atoms in (*structures, *known) for z in atoms.numbers})
    rows = [descriptor(atoms, elements) for atoms in structures]
    before = [descriptor(atoms, elements) for atoms in known]
    width = len(elements) * (len(elements) + 1) // 2 * len(RADII)
    return farthest_points(
        np.array(rows).reshape(-1, width), np.array(before).reshape(-1, width), number
    )
