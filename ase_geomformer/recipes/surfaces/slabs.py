"""Slabs of a crystal: its planes of atoms, and where they can be parted."""

from __future__ import annotations

from dataclasses import dataclass
from math import gcd

import numpy as np
from ase import Atoms
from ase.build import surface

from ase_geomformer.recipes.symmetry import conventional_cell

# Å; distances between planes that differ by less are alike.
_ALIKE_A = 0.01
# Rows of the primitive in terms of the conventional cell have denominators that divide this.
_DENOMINATOR = 12


@dataclass(frozen=True, eq=False)
class Cut:
    """A place between two planes of atoms where a crystal can be parted.

    Attributes
    ----------
    name : str
        Planes on both sides, such as ``Mg|O``.
    height_A : float
        Of the middle of the gap, along the normal.
    gap_A : float
        Distance of the planes.
    equal_faces : bool
        Whether both faces of a slab have the same sequence of planes.
    polar : bool
        Whether they end with planes of different composition.
    """

    name: str
    height_A: float
    gap_A: float
    equal_faces: bool
    polar: bool


def primitive(atoms: Atoms, miller: list[int], symprec_A: float) -> tuple[Atoms, tuple[int, ...]]:
    """The primitive cell, and the Miller indices of the conventional cell in its axes.

    Raises
    ------
    ValueError
        If no symmetry is found.
    """
    conventional = conventional_cell(atoms, symprec_A)
    cell_of_few = conventional_cell(atoms, symprec_A, primitive=True)
    rows = cell_of_few.cell.array @ np.linalg.inv(conventional.cell.array)
    indices = np.rint(_DENOMINATOR * rows @ np.array(miller)).astype(int)
    divisor = gcd(*map(int, indices))
    return cell_of_few, tuple(int(index) // divisor for index in indices)


def stacked(crystal: Atoms, indices: tuple[int, ...], periods: int) -> Atoms:
    """So many periods of the crystal, one on the other: two cell vectors in the surface, z normal.

    The third cell vector is as long as all of them together; where planes are shifted against each
    other it is no period of the crystal.
    """
    return surface(crystal, indices, periods, periodic=True)


def cuts(crystal: Atoms, indices: tuple[int, ...], plane_A: float) -> list[Cut]:
    """The places where the crystal can be parted that differ from each other.

    Parameters
    ----------
    crystal : ase.Atoms
        Primitive cell.
    indices : tuple of int
        Miller indices in its axes.
    plane_A : float
        Atoms closer than this along the normal are in one plane.
    """
    period = stacked(crystal, indices, 1)
    height = float(period.cell.array[2, 2])
    heights, names = _planes(period, plane_A)
    gaps = np.diff([*heights, heights[0] + height])
    count = len(heights)
    found: dict[frozenset[tuple[tuple[str, int], ...]], Cut] = {}
    for below in range(count):
        up = [(below + 1 + k) % count for k in range(count)]
        down = [(below - k) % count for k in range(count)]
        above_face = tuple((names[k], round(gaps[k] / _ALIKE_A)) for k in up)
        below_face = tuple((names[k], round(gaps[(k - 1) % count] / _ALIKE_A)) for k in down)
        first, second = names[below], names[(below + 1) % count]
        cut = Cut(
            name=f"{first}|{second}",
            height_A=float(heights[below] + 0.5 * gaps[below]),
            gap_A=float(gaps[below]),
            equal_faces=above_face == below_face,
            polar=first != second,
        )
        found.setdefault(frozenset((above_face, below_face)), cut)
    return sorted(found.values(), key=lambda cut: -cut.gap_A)


def slab(
    crystal: Atoms, indices: tuple[int, ...], cut: Cut, repeats: int, vacuum_A: float
) -> Atoms:
    """A slab of whole periods, parted at a cut, with vacuum on both sides."""
    found = stacked(crystal, indices, repeats + 1)
    period = float(found.cell.array[2, 2]) / (repeats + 1)
    low = cut.height_A % period
    z = found.positions[:, 2]
    found = found[(z > low) & (z < low + repeats * period)]
    positions, cell = found.positions.copy(), found.cell.array.copy()
    cell[2] = [0.0, 0.0, np.ptp(positions[:, 2]) + vacuum_A]
    positions[:, 2] += 0.5 * vacuum_A - positions[:, 2].min()
    result = Atoms(numbers=found.numbers, positions=positions, cell=cell, pbc=True)
    result.wrap(pbc=[True, True, False])
    return result


def _planes(period: Atoms, plane_A: float) -> tuple[np.ndarray, list[str]]:
    """Heights of the planes of atoms in one period, rising, and what they consist of."""
    height = float(period.cell.array[2, 2])
    z = period.positions[:, 2] % height
    order = np.argsort(z)
    starts = np.flatnonzero(np.diff(z[order]) > plane_A) + 1
    groups = np.split(order, starts)
    # The first and the last may be one plane, across the boundary.
    if len(groups) > 1 and z[groups[0]].min() + height - z[groups[-1]].max() <= plane_A:
        last = groups.pop()
        z[last] -= height
        groups[0] = np.concatenate([last, groups[0]])
    heights = np.array([z[group].mean() for group in groups])
    return heights, [period[group].symbols.formula.reduce()[0].format("hill") for group in groups]
