"""Whether a structure exploded, collapsed or dissociated in a relaxation."""

from __future__ import annotations

import numpy as np
from ase import Atoms
from ase.data import covalent_radii
from ase.neighborlist import neighbor_list
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

# Atoms this many times the sum of their covalent radii apart still hold together.
_BOND_SCALE = 1.3
# Closer than this, in the same unit, no two nuclei come in a molecule or crystal.
_OVERLAP_SCALE = 0.5
# An atom has left the others where none is within this many times the longest distance to a
# nearest neighbour that the start had, nor within so many Å.
_LEFT_SCALE, _LEFT_A = 2.0, 4.0
# Volumes beyond these, as multiples of the first, are of no relaxation.
_SMALLEST_VOLUME, _LARGEST_VOLUME = 0.2, 5.0


def fragments(atoms: Atoms) -> int:
    """Number of parts that no bond connects, bonds being judged by covalent radii."""
    i, j = neighbor_list("ij", atoms, _BOND_SCALE * covalent_radii[atoms.numbers])
    bonds = coo_array((np.ones(len(i)), (i, j)), shape=(len(atoms), len(atoms)))
    return int(connected_components(bonds, directed=False)[0])


def damage(start: Atoms, end: Atoms) -> str | None:
    """How a structure was damaged by a relaxation; None if it was not.

    An end is damaged where it exploded (an atom has left all others), collapsed (two atoms lie on
    top of each other) or dissociated (it has more fragments than the start).
    """
    if len(end) > 1:
        pair = _overlap(end)
        if pair is not None:
            return f"collapsed: {pair}"
        lost = _lost(start, end)
        if len(lost):
            return (
                f"exploded: {len(lost)} of {len(end)} atoms, atom {lost[0]} first, have no "
                f"neighbour within {_reach(start):.1f} Å"
            )
    before, after = fragments(start), fragments(end)
    if after > before:
        return f"dissociated: {after} fragments, where the start had {before}"
    return None


def blow_up(start: Atoms, atoms: Atoms, energy: float, forces: np.ndarray) -> str | None:
    """Why a relaxation cannot continue, or None."""
    if not (np.isfinite(energy) and np.isfinite(forces).all()):
        return "exploded: the energy or a force is not finite"
    if atoms.cell.rank == 3:
        ratio = atoms.get_volume() / start.get_volume()
        if not _SMALLEST_VOLUME < ratio < _LARGEST_VOLUME:
            return f"exploded: the volume is {ratio:.3g} times that of the start"
    return None


def _overlap(atoms: Atoms) -> str | None:
    radii = _OVERLAP_SCALE * covalent_radii[atoms.numbers]
    i, j, d = neighbor_list("ijd", atoms, radii)
    if not len(d):
        return None
    worst = int(d.argmin())
    return f"atoms {i[worst]} and {j[worst]} are {d[worst]:.2f} Å apart"


def _lost(start: Atoms, end: Atoms) -> np.ndarray:
    """Atoms that have lost all their neighbours."""
    near = neighbor_list("i", end, _reach(start))
    return np.setdiff1d(np.arange(len(end)), near)


def _reach(start: Atoms) -> float:
    """Distance in Å without a neighbour at which an atom has left the others."""
    return max(_LEFT_SCALE * _longest_nearest_distance(start), _LEFT_A)


def _longest_nearest_distance(atoms: Atoms) -> float:
    """The largest of the atoms' distances to their nearest neighbours."""
    reach = 3.0
    while True:
        i, d = neighbor_list("id", atoms, reach)
        if len(np.unique(i)) == len(atoms):
            nearest = np.full(len(atoms), np.inf)
            np.minimum.at(nearest, i, d)
            return float(nearest.max())
        reach *= 2.0
