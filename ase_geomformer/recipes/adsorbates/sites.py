"""Sites of a surface: on top of atoms, between two, and between three or more."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from ase import Atoms
from scipy.spatial import Voronoi, cKDTree

# Å; places closer than this are the same, distances that differ by less are equal.
_SAME_A = 0.05
# Å along the surface; an atom this close is below a site.
_BELOW_A = 0.3
# Cells around the middle one in which atoms are looked for.
_AROUND = 3
_NAMES = {1: "top", 2: "bridge"}


@dataclass(frozen=True, eq=False)
class Site:
    """Sites of a surface that its symmetry makes alike.

    Attributes
    ----------
    name : str
        top, bridge or hollow, numbered where there are several.
    neighbours : int
        Number of atoms of the surface that are equally near.
    points : array (n, 3)
        Of all alike in the cell, at the height of the highest atom, Å.
    below_A : float or None
        Depth of the highest atom below the site; None if there is none.
    """

    name: str
    neighbours: int
    points: np.ndarray
    below_A: float | None


def frame_of(slab: Atoms) -> np.ndarray:
    """Orthonormal axes (3, 3) in rows: two along the slab, the third its normal."""
    first = slab.cell.array[0] / np.linalg.norm(slab.cell.array[0])
    normal = np.cross(slab.cell.array[0], slab.cell.array[1])
    normal /= np.linalg.norm(normal)
    return np.array([first, np.cross(normal, first), normal])


def find_sites(slab: Atoms, layer_A: float, symprec_A: float) -> list[Site]:
    """The sites of the upper face of a slab.

    Along the surface, hollows are the places that are equally far from three or more atoms and
    further from all others (the vertices of Voronoi's diagram), bridges the middles between two
    atoms that no third is as near to.

    Parameters
    ----------
    slab : ase.Atoms
        Periodic along its first two cell vectors.
    layer_A : float
        Atoms no deeper than this below the highest one are the surface.
    symprec_A : float
        Tolerance of the symmetry search.

    Returns
    -------
    list of Site
        From top to hollow.
    """
    frame = frame_of(slab)
    places = slab.positions @ frame.T
    highest = float(places[:, 2].max())
    cell = slab.cell.array[:2] @ frame[:2].T
    surface = places[places[:, 2] > highest - layer_A, :2]
    steps = np.arange(-_AROUND, _AROUND + 1)
    shifts = np.stack(np.meshgrid(steps, steps), axis=-1).reshape(-1, 2) @ cell
    images = (surface[None] + shifts[:, None]).reshape(-1, 2)
    candidates = _in_cell(_candidates(surface, images), cell)
    tree = cKDTree(images)
    nearest = tree.query(candidates)[0]
    counts = np.array([
        len(tree.query_ball_point(point, distance + _SAME_A))
        for point, distance in zip(candidates, nearest, strict=True)
    ])  # fmt: skip
    kinds = _alike(candidates, cell, _operations(slab, frame, symprec_A))
    found = []
    for kind in np.unique(kinds):
        points = candidates[kinds == kind]
        below = _below(points[0], places, shifts)
        depth = None if below is None else highest - below
        lifted = np.column_stack([points, np.full(len(points), highest)]) @ frame
        found.append((int(counts[kinds == kind][0]), depth, lifted))
    found.sort(key=lambda one: (one[0], np.inf if one[1] is None else one[1]))
    names = [_NAMES.get(count, "hollow") for count, _, _ in found]
    return [
        Site(
            name=name if names.count(name) == 1 else f"{name} {1 + names[:place].count(name)}",
            neighbours=count,
            points=points,
            below_A=depth,
        )
        for place, (name, (count, depth, points)) in enumerate(zip(names, found, strict=True))
    ]


def _candidates(surface: np.ndarray, images: np.ndarray) -> np.ndarray:
    """Tops, bridges and hollows (n, 2), some of them several times."""
    diagram, tree = Voronoi(images), cKDTree(images)
    ends = images[diagram.ridge_points]
    middles, halves = ends.mean(axis=1), 0.5 * np.linalg.norm(np.diff(ends, axis=1)[:, 0], axis=1)
    # The third nearest is further away than both ends.
    thirds = tree.query(middles, k=3)[0][:, 2]
    return np.concatenate([surface, middles[thirds > halves + _SAME_A], diagram.vertices])


def _in_cell(points: np.ndarray, cell: np.ndarray) -> np.ndarray:
    """Points (n, 2) that differ by no cell vectors, in the cell."""
    kept: list[np.ndarray] = []
    # Those at the rim of the images are none; vertices there can lie anywhere.
    inverse = np.linalg.inv(cell)
    for point in points:
        scaled = point @ inverse
        if np.abs(scaled - 0.5).max() > 1.5:
            continue
        wrapped = (scaled + 1e-6) % 1.0 - 1e-6
        if all(_distance(wrapped - other, cell) > _SAME_A for other in kept):
            kept.append(wrapped)
    return np.array(kept) @ cell


def _distance(scaled: np.ndarray, cell: np.ndarray) -> float:
    """Length of a difference of scaled points (2,), of the nearest images."""
    around = scaled - np.round(scaled)
    steps = np.stack(np.meshgrid(*[[-1, 0, 1]] * 2), axis=-1).reshape(-1, 2)
    return float(np.linalg.norm((around + steps) @ cell, axis=1).min())


def _operations(
    slab: Atoms, frame: np.ndarray, symprec_A: float
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Symmetry of the slab along the surface: rotations (2, 2) and shifts (2,) of scaled points."""
    import spglib

    cell = slab.cell.array.copy()
    # The third vector along the normal, long enough for vacuum on both sides.
    cell[2] = frame[2] * (np.ptp(slab.positions @ frame[2]) + 20.0)
    scaled = slab.positions @ np.linalg.inv(cell)
    found = spglib.get_symmetry((cell, scaled, slab.numbers), symprec=symprec_A)
    identity = [(np.eye(2), np.zeros(2))]
    if found is None:
        return identity
    flat = [
        (turn[:2, :2].astype(float), shift[:2])
        for turn, shift in zip(found["rotations"], found["translations"], strict=True)
        if turn[2, 2] == 1
        and not turn[2, :2].any()
        and not turn[:2, 2].any()
        and abs(shift[2] - round(shift[2])) < 1e-3
    ]
    return flat or identity


def _alike(
    points: np.ndarray, cell: np.ndarray, operations: list[tuple[np.ndarray, np.ndarray]]
) -> np.ndarray:
    """The first of the points (n, 2) that symmetry makes each equal to, by index (n,)."""
    scaled = points @ np.linalg.inv(cell)
    kinds = np.full(len(points), -1)
    for first in range(len(points)):
        if kinds[first] >= 0:
            continue
        images = np.array([turn @ scaled[first] + shift for turn, shift in operations])
        for other in range(first, len(points)):
            if kinds[other] < 0 and any(
                _distance(image - scaled[other], cell) < _SAME_A for image in images
            ):
                kinds[other] = first
    return kinds


def _below(point: np.ndarray, places: np.ndarray, shifts: np.ndarray) -> float | None:
    """Height of the highest atom below a point (2,)."""
    away = np.linalg.norm(places[None, :, :2] + shifts[:, None] - point, axis=-1).min(axis=0)
    near = places[away < _BELOW_A, 2]
    return float(near.max()) if len(near) else None
