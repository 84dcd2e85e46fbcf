"""From the ends of a reaction, or a rough path, to the images of a band."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np
from ase import Atoms
from ase.build import minimize_rotation_and_translation
from ase.geometry import find_mic
from scipy.optimize import linear_sum_assignment

from ase_geomformer.graph.structure import geometry
from ase_geomformer.recipes.constraints import joint_constraints
from ase_geomformer.recipes.interpolation import is_free_molecule
from ase_geomformer.recipes.path.settings import NEBSettings

# Å; ends closer than this are the same structure.
SAME = 0.05
# Of a lattice vector; a longer way could as well go the other way round.
LONGEST_WAY = 0.45
# Atoms count as exchanged where another order makes the way shorter than this share of it.
EXCHANGED = 0.5
# Degrees by which a molecule is turned about its axes to see whether another order fits.
TURNS = (-120.0, -60.0, 60.0, 120.0, 180.0)


def checked_path(path: Sequence[Atoms], settings: NEBSettings) -> list[Atoms]:
    """Copies of the structures, as one path without jumps across boundaries, checked.

    Raises
    ------
    ValueError
        If there are fewer than two structures, positions are not finite, or the structures do not
        belong together: other atoms, order, boundaries or cells; atoms that move against a
        constraint; exchanged atoms; ways longer than half of the cell.
    """
    images = [atoms.copy() for atoms in path]
    if len(images) < 2:
        raise ValueError(
            f"a path needs two ends, and {len(images)} structure is given; give the initial and "
            "the final structure, or all images"
        )
    for index, atoms in enumerate(images):
        try:
            geometry(atoms)
        except ValueError as error:
            raise ValueError(f"structure {index}: {error}") from None
    for index, atoms in enumerate(images[1:], start=1):
        _check_pair(images[0], atoms, f"structure {index}")
    if not settings.exchanged_atoms and len(images) == 2:
        _check_order(images[0], images[-1])
    for before, after in pairwise(images):
        _unwrap(before, after, check=len(images) == 2)
    if all(is_free_molecule(atoms) for atoms in images):
        for before, after in pairwise(images):
            minimize_rotation_and_translation(before, after)
    held = joint_constraints(images, [f"structure {index}" for index in range(len(images))])
    for atoms in images:
        atoms.set_constraint([constraint.copy() for constraint in held])
    return images


def check_different(initial: Atoms, final: Atoms, when: str = "") -> None:
    """Raise ValueError if two ends are the same structure."""
    largest = np.linalg.norm(final.positions - initial.positions, axis=1).max()
    if largest < SAME:
        raise ValueError(
            f"the initial and the final structure are the same{when}: no atom is more than "
            f"{largest:.3f} Å from where it was; give two different minima"
        )


def _check_pair(first: Atoms, other: Atoms, name: str) -> None:
    if sorted(first.numbers) != sorted(other.numbers):
        raise ValueError(
            f"{name} is {other.get_chemical_formula()}, and the first is "
            f"{first.get_chemical_formula()}; all must have the same atoms"
        )
    wrong = np.flatnonzero(first.numbers != other.numbers)
    if wrong.size:
        raise ValueError(
            f"{name} has its atoms in another order: atom {wrong[0]} is "
            f"{other.symbols[wrong[0]]} there and {first.symbols[wrong[0]]} in the first; "
            "give all structures with the same order of atoms"
        )
    if (first.pbc != other.pbc).any():
        raise ValueError(
            f"{name} has the periodic boundaries {other.pbc}, and the first has {first.pbc}"
        )
    if np.abs(first.cell.array - other.cell.array)[first.pbc].max(initial=0.0) > 1e-6:
        raise ValueError(
            f"{name} has another cell than the first; relax both in the same cell, which is fixed "
            "along a path"
        )


def _unwrap(before: Atoms, after: Atoms, *, check: bool) -> None:
    """Put every atom into the image that is next to where it was before."""
    if not before.pbc.any():
        return
    way, _ = find_mic(after.positions - before.positions, before.cell, before.pbc)
    parts = np.abs(before.cell.scaled_positions(way))[:, before.pbc]
    if check and parts.max() > LONGEST_WAY:
        worst = int(np.argmax(parts.max(axis=1)))
        raise ValueError(
            f"atom {worst} ({before.symbols[worst]}) moves by {parts.max():.2f} of a lattice "
            "vector, so that its direction is ambiguous; use a larger cell, or give intermediate "
            "images"
        )
    after.positions = before.positions + way


def _check_order(initial: Atoms, final: Atoms) -> None:
    """Refuse ends that are much closer to each other with atoms of an element exchanged."""
    total, best, order = np.inf, np.inf, np.arange(len(initial))
    for places in _placements(initial, final):
        lengths = _way_lengths(initial, places)
        total = min(total, float(np.trace(lengths)))
        found = _closest_order(initial.numbers, lengths)
        way = float(lengths[np.arange(len(found)), found].sum())
        if way < best:
            best, order = way, found
    moved = np.flatnonzero(order != np.arange(len(initial)))
    if moved.size and total > SAME and best < EXCHANGED * total:
        some = ", ".join(f"{i} and {order[i]} ({initial.symbols[i]})" for i in moved[:4])
        raise ValueError(
            f"atoms seem to be exchanged between the ends, such as {some}: in another order the "
            f"displacements add up to {best:.2f} Å instead of {total:.2f} Å; give both ends the "
            "same order of atoms, or set exchanged_atoms if the reaction exchanges them"
        )


def _placements(initial: Atoms, final: Atoms) -> Iterator[np.ndarray]:
    """Positions of the final structure; a free molecule is turned in several ways to fit."""
    if not is_free_molecule(initial):
        yield final.positions
        return
    aligned = final.copy()
    minimize_rotation_and_translation(initial, aligned)
    yield aligned.positions
    for axis in np.linalg.svd(initial.positions - initial.positions.mean(axis=0))[2]:
        for angle in TURNS:
            turned = aligned.copy()
            turned.rotate(angle, axis, center=turned.positions.mean(axis=0))
            # By turns, the order that fits the place best, and the place that fits the order.
            for _ in range(4):
                order = _closest_order(initial.numbers, _way_lengths(initial, turned.positions))
                sorted_alike = turned[order]
                minimize_rotation_and_translation(initial, sorted_alike)
                turned.positions[order] = sorted_alike.positions
            yield turned.positions


def _way_lengths(initial: Atoms, places: np.ndarray) -> np.ndarray:
    """Distances (N, N) in Å from each atom to each place."""
    ways = (places[None] - initial.positions[:, None]).reshape(-1, 3)
    if initial.pbc.any():
        ways = find_mic(ways, initial.cell, initial.pbc)[0]
    lengths: np.ndarray = np.linalg.norm(ways, axis=1).reshape(len(places), -1)
    return lengths


def _closest_order(numbers: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """For each atom, the place of its element that makes all ways together short (N,)."""
    order = np.arange(len(numbers))
    for number in np.unique(numbers):
        members = np.flatnonzero(numbers == number)
        _, columns = linear_sum_assignment(lengths[np.ix_(members, members)] ** 2)
        order[members] = members[columns]
    return order
