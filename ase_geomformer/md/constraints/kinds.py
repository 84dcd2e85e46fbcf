"""What each of ASE's constraints holds, as equations.

All functions here take a constraint and the atoms it belongs to. They read the constraint's own
description (``todict``) where that is complete, and attributes where it is not.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from ase import Atoms
from ase.geometry import find_mic
from scipy.linalg import block_diag, null_space

from ase_geomformer.md.constraints.equations import (
    Angles,
    Dihedrals,
    Distances,
    Equations,
    Frozen,
    Held,
    Linear,
)

Holding = list[Held | Frozen]
# Angles this near to 0 or 180 degrees have no gradient to hold them by, rad.
_STRAIGHT = 0.02


def fixed_atoms(constraint: Any, atoms: Atoms) -> Holding:
    """All coordinates of some atoms."""
    return [_frozen(atoms, constraint.index, (True, True, True))]


def fixed_cartesian(constraint: Any, atoms: Atoms) -> Holding:
    """Some Cartesian coordinates of some atoms."""
    return [_frozen(atoms, constraint.index, constraint.mask)]


def fixed_scaled(constraint: Any, atoms: Atoms) -> Holding:
    """Some coordinates of some atoms in units of the cell vectors."""
    if constraint.mask.all():
        return [_frozen(atoms, constraint.index, (True, True, True))]
    normals = atoms.cell.complete().reciprocal()[constraint.mask]
    return _single(atoms, constraint.index, normals)


def fixed_plane(constraint: Any, atoms: Atoms) -> Holding:
    """The coordinate of some atoms along a normal."""
    return _single(atoms, constraint.index, constraint.dir[None])


def fixed_line(constraint: Any, atoms: Atoms) -> Holding:
    """Both coordinates of some atoms normal to a line."""
    return _single(atoms, constraint.index, null_space(constraint.dir[None]).T)


def fixed_centre(constraint: Any, atoms: Atoms) -> Holding:
    """The centre of mass of all atoms, or of some."""
    indices = np.arange(len(atoms))[constraint.index]
    masses = atoms.get_masses()[indices]
    coefficients = (masses / masses.sum())[None, :, None] * np.eye(3)[:, None, :]
    equations = Linear(np.tile(indices, (3, 1)), coefficients, is_centre=len(indices) == len(atoms))
    return [_present(equations, atoms)]


def fixed_mode(constraint: Any, atoms: Atoms) -> Holding:
    """Displacements along one direction of all coordinates."""
    return _everywhere(atoms, constraint.mode[None])


def fixed_symmetry(constraint: Any, atoms: Atoms) -> Holding:
    """All displacements that the operations of a space group do not leave as they are."""
    size, cell = len(atoms), atoms.cell.array
    average = np.zeros((size, 3, size, 3))
    for rotation, mapping in zip(constraint.rotations, constraint.symm_map, strict=True):
        cartesian = cell.T @ rotation @ np.linalg.inv(cell.T)
        average[mapping, :, np.arange(size), :] += cartesian / len(constraint.rotations)
    averaging = average.reshape(3 * size, 3 * size)
    weights, directions = np.linalg.eigh(0.5 * (averaging + averaging.T))
    return _everywhere(atoms, directions.T[weights < 0.5])


def fixed_parameters(constraint: Any, atoms: Atoms) -> Holding:
    """Displacements that linear relations with parameters do not allow."""
    if getattr(constraint, "use_cell", False):
        return []  # the cell does not change in any case
    indices, jacobian = constraint.indices, constraint.Jacobian
    values, to_values = atoms.positions[indices], np.eye(3)
    scaled = type(constraint).__name__ == "FixScaledParametricRelations"
    if scaled:
        to_values = np.linalg.inv(atoms.cell.array).T
        values = values @ to_values.T
    away = values.ravel() - constraint.const_shift
    away -= jacobian @ (constraint.Jacobian_inv @ away)
    forbidden = null_space(jacobian.T).T if jacobian.size else np.eye(3 * len(indices))
    # Scaled coordinates are compared with the nearest periodic images.
    targets = forbidden @ (values.ravel() - (away - np.round(away) if scaled else away))
    coefficients = forbidden @ block_diag(*[to_values] * len(indices))
    rows = np.tile(indices, (len(forbidden), 1))
    return [Held(Linear(rows, coefficients.reshape(len(forbidden), -1, 3)), targets)]


def fixed_bonds(constraint: Any, atoms: Atoms) -> Holding:
    """Distances of pairs."""
    pairs = np.array(constraint.pairs).reshape(-1, 2)
    distances = _distances(atoms, pairs[:, None], np.ones((len(pairs), 1)), mic=True)
    lengths = constraint.bondlengths
    return [_present(distances, atoms, [None] * len(pairs) if lengths is None else lengths)]


def fixed_triatomics(constraint: Any, atoms: Atoms) -> Holding:
    """The length of linear molecules, and the place of the middle atom between the others."""
    triples = np.array(constraint.triples)
    ends = triples[:, [0, 2]]
    halves = [triples[:, :2], triples[:, 1:]]
    offsets = [_offsets(atoms, pairs, mic=True) for pairs in halves]
    vectors = [_vectors(atoms, pair) + off for pair, off in zip(halves, offsets, strict=True)]
    first, last = (np.linalg.norm(vector, axis=1) for vector in vectors)
    whole = Distances(ends[:, None], np.ones((len(ends), 1)), (offsets[0] + offsets[1])[:, None])
    # The middle is at w times the first end plus 1 - w times the last, whatever images are meant.
    w = last / (first + last)
    weights = np.stack([-w, np.ones_like(w), w - 1.0], axis=1)
    coefficients = weights[:, None, :, None] * np.eye(3)[None, :, None, :]
    middle = Linear(np.repeat(triples, 3, axis=0), coefficients.reshape(-1, 3, 3), is_internal=True)
    targets = (1.0 - w)[:, None] * (offsets[0] + offsets[1]) - offsets[0]
    return [Held(whole, first + last), Held(middle, targets.ravel())]


def fixed_internals(constraint: Any, atoms: Atoms) -> Holding:
    """Distances, angles, dihedral angles and linear combinations of distances."""
    given, mic = constraint.todict()["kwargs"], constraint.mic
    held: Holding = []
    if given["bonds"]:
        targets, bonded = zip(*given["bonds"], strict=True)
        pairs = np.array(bonded)[:, None]
        bonds = _distances(atoms, pairs, np.ones((len(pairs), 1)), mic=mic)
        held.append(_present(bonds, atoms, targets))
    for target, terms in given["bondcombos"]:
        pairs = np.array([term[:2] for term in terms], dtype=int)[None]
        weights = np.array([[term[2] for term in terms]], dtype=float)
        held.append(_present(_distances(atoms, pairs, weights, mic=mic), atoms, [target]))
    if given["angles_deg"]:
        targets, triples = zip(*given["angles_deg"], strict=True)
        chosen = np.array(triples)
        offsets = [_offsets(atoms, chosen[:, [1, end]], mic=mic) for end in (0, 2)]
        angles = Angles(chosen, np.stack(offsets, axis=1))
        held.append(_present(angles, atoms, _radians(targets)))
        _check_bent(held[-1], chosen)
    if given["dihedrals_deg"]:
        targets, chains = zip(*given["dihedrals_deg"], strict=True)
        chosen = np.array(chains)
        steps = [_offsets(atoms, chosen[:, i : i + 2], mic=mic) for i in range(3)]
        dihedrals = Dihedrals(chosen, np.stack(steps, axis=1))
        held.append(_present(dihedrals, atoms, _radians(targets)))
    return held


def nothing(constraint: Any, atoms: Atoms) -> Holding:
    """No motion: the constraint is a term of the energy."""
    return []


def _frozen(atoms: Atoms, indices: Any, directions: Any) -> Frozen:
    mask = np.zeros((len(atoms), 3), dtype=bool)
    mask[indices] |= np.asarray(directions, dtype=bool)
    return Frozen(mask)


def _single(atoms: Atoms, indices: np.ndarray, normals: np.ndarray) -> Holding:
    """Coordinates of each atom along directions (D, 3)."""
    count = len(normals)
    rows = np.repeat(np.asarray(indices), count)[:, None]
    coefficients = np.tile(normals, (len(indices), 1))[:, None, :]
    return [_present(Linear(rows, coefficients), atoms)]


def _everywhere(atoms: Atoms, directions: np.ndarray) -> Holding:
    """Displacements of all atoms along directions (D, 3N)."""
    indices = np.tile(np.arange(len(atoms)), (len(directions), 1))
    coefficients = directions.reshape(len(directions), -1, 3)
    return [_present(Linear(indices, coefficients), atoms)]


def _present(
    equations: Equations, atoms: Atoms, targets: Sequence[float | None] | None = None
) -> Held:
    """Hold targets; where there is none, what the equation is now."""
    values = equations.values(atoms.positions)
    for index, target in enumerate(targets if targets is not None else ()):
        if target is not None:
            values[index] = target
    return Held(equations, values)


def _distances(atoms: Atoms, pairs: np.ndarray, weights: np.ndarray, *, mic: bool) -> Distances:
    offsets = _offsets(atoms, pairs.reshape(-1, 2), mic=mic)
    return Distances(pairs, weights, offsets.reshape(*pairs.shape[:2], 3))


def _vectors(atoms: Atoms, pairs: np.ndarray) -> np.ndarray:
    return np.asarray(atoms.positions[pairs[:, 1]] - atoms.positions[pairs[:, 0]])


def _offsets(atoms: Atoms, pairs: np.ndarray, *, mic: bool) -> np.ndarray:
    """What takes the vectors of pairs (P, 2) to those of the nearest images (P, 3), Å."""
    if not mic or not atoms.pbc.any():
        return np.zeros((len(pairs), 3))
    vectors = _vectors(atoms, pairs)
    nearest = find_mic(vectors, atoms.cell, atoms.pbc)[0]
    images = np.round(atoms.cell.scaled_positions(nearest - vectors))
    return np.asarray(images @ atoms.cell.array)


def _radians(degrees: Sequence[float | None]) -> list[float | None]:
    return [None if value is None else float(np.radians(value)) for value in degrees]


def _check_bent(held: Held | Frozen, triples: np.ndarray) -> None:
    if isinstance(held, Held):
        straight = np.sin(held.targets) < _STRAIGHT
        if straight.any():
            first = int(straight.argmax())
            raise ValueError(
                f"FixInternals cannot hold the angle of atoms {triples[first].tolist()} at "
                f"{np.degrees(held.targets[first]):.1f} degrees; a straight molecule is held by "
                "FixLinearTriatomic"
            )
