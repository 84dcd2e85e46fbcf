"""Constraints in recipes: one policy for all of them.

A recipe that moves a structure (relaxation, reaction path, vibrations) honours its constraints or
refuses them by name. A recipe of a crystal's own properties (equation of state, elastic constants,
lattice dynamics) needs every atom free to follow: it sets constraints aside and says so.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from ase import Atoms
from ase.constraints import FixAtoms, FixedLine, FixedPlane, FixScaled
from scipy.linalg import null_space

# Å; an atom may be this far from where its constraint holds it at the other end of a path.
SAME_PLACE = 1e-3
# Singular values below this share of the largest are zero.
_RANK_TOLERANCE = 1e-8


def _all_axes(constraint: Any, atoms: Atoms) -> np.ndarray:
    return np.eye(3)


def _masked_axes(constraint: Any, atoms: Atoms) -> np.ndarray:
    return np.eye(3)[np.broadcast_to(constraint.mask, 3)]


def _masked_cell_directions(constraint: Any, atoms: Atoms) -> np.ndarray:
    # A fixed scaled coordinate is a plane that the other two cell vectors span.
    return atoms.cell.complete().reciprocal().array[np.broadcast_to(constraint.mask, 3)]


def _plane(constraint: Any, atoms: Atoms) -> np.ndarray:
    return np.atleast_2d(constraint.dir)


def _line(constraint: Any, atoms: Atoms) -> np.ndarray:
    return _complement(np.atleast_2d(constraint.dir))


# Directions (k, 3) in which a constraint forbids its atoms to move, by ASE's name.
_FORBIDDEN: dict[str, Callable[[Any, Atoms], np.ndarray]] = {
    "FixAtoms": _all_axes,
    "FixCartesian": _masked_axes,
    "FixScaled": _masked_cell_directions,
    "FixedPlane": _plane,
    "FixedLine": _line,
}


@dataclass(frozen=True, eq=False)
class FreeDirections:
    """The directions in which atoms can move, M of them: an orthonormal set for each atom.

    Attributes
    ----------
    atoms : array (M,)
        Atom of each direction, rising.
    vectors : array (M, 3)
    count : int
        Number of all atoms.
    """

    atoms: np.ndarray
    vectors: np.ndarray
    count: int

    @classmethod
    def of(cls, atoms: Atoms, purpose: str) -> FreeDirections:
        """Those that the constraints leave.

        Raises
        ------
        ValueError
            If there is a constraint that does not hold single atoms in fixed directions, or
            nothing is free.
        """
        forbidden = forbidden_directions(atoms, purpose)
        owners, vectors = [], []
        for index in range(len(atoms)):
            allowed = _complement(forbidden.get(index))
            owners += [index] * len(allowed)
            vectors.append(allowed)
        if not owners:
            raise ValueError(f"all atoms are fixed, so that none can {purpose}; release some")
        return cls(np.array(owners), np.concatenate(vectors), len(atoms))

    @property
    def free_atoms(self) -> np.ndarray:
        """Indices of the atoms that can move at all."""
        return np.unique(self.atoms)

    @property
    def all_whole(self) -> bool:
        """Whether every atom that can move at all can move anywhere."""
        return len(self.atoms) == 3 * len(self.free_atoms)

    def along(self, vectors: np.ndarray) -> np.ndarray:
        """Components (M,) of a vector for each atom (N, 3)."""
        return np.einsum("ma,ma->m", self.vectors, np.asarray(vectors)[self.atoms])

    def displacements(self, components: np.ndarray) -> np.ndarray:
        """Displacements (..., N, 3) of all atoms from components (..., M)."""
        parts = np.asarray(components)[..., None] * self.vectors
        moved = np.zeros((*parts.shape[:-2], self.count, 3))
        first = np.searchsorted(self.atoms, self.free_atoms)
        moved[..., self.free_atoms, :] = np.add.reduceat(parts, first, axis=-2)
        return moved

    def project(self, rows: np.ndarray) -> np.ndarray:
        """A Hessian (M, M) from the rows (3 n, 3 N) of the atoms that can move."""
        if self.all_whole:
            return rows[:, (3 * self.free_atoms[:, None] + np.arange(3)).ravel()]
        blocks = rows.reshape(len(self.free_atoms), 3, self.count, 3)
        place = np.searchsorted(self.free_atoms, self.atoms)
        left = np.einsum("ma,maNb->mNb", self.vectors, blocks[place])
        return np.einsum("mkb,kb->mk", left[:, self.atoms], self.vectors)


def forbidden_directions(atoms: Atoms, purpose: str) -> dict[int, np.ndarray]:
    """Directions (k, 3) in which constraints forbid an atom to move, by its index.

    Raises
    ------
    ValueError
        If there is a constraint of another kind.
    """
    found: dict[int, list[np.ndarray]] = {}
    for constraint in atoms.constraints:
        name = type(constraint).__name__
        if name not in _FORBIDDEN:
            raise ValueError(
                f"the constraint {name} cannot be honoured where atoms {purpose}; remove it, or "
                f"use {', '.join(_FORBIDDEN)}"
            )
        directions = _FORBIDDEN[name](constraint, atoms)
        for index in np.atleast_1d(constraint.index) % len(atoms):  # -1 is the last
            found.setdefault(int(index), []).append(directions)
    return {index: np.concatenate(parts) for index, parts in sorted(found.items())}


def joint_constraints(structures: Sequence[Atoms], names: Sequence[str]) -> list[Any]:
    """The constraints of all structures of a path at once, as constraints of ASE.

    Parameters
    ----------
    structures : sequence of ase.Atoms
        Without jumps across boundaries between them.
    names : sequence of str
        What messages call them.

    Raises
    ------
    ValueError
        If an atom would have to move in a direction in which one of them holds it.
    """
    forbidden: dict[int, list[np.ndarray]] = {}
    for atoms, name in zip(structures, names, strict=True):
        for index, directions in forbidden_directions(atoms, "move along a path").items():
            _check_held(index, directions, name, structures, names)
            forbidden.setdefault(index, []).append(directions)
    # Alike directions together, as one constraint for all their atoms.
    groups: dict[tuple[int, tuple[float, ...]], list[int]] = {}
    for index, parts in sorted(forbidden.items()):
        allowed = _complement(np.concatenate(parts))
        groups.setdefault((len(allowed), _direction(allowed)), []).append(index)
    return [
        FixAtoms(held) if freedom == 0 else (FixedLine, FixedPlane)[freedom - 1](held, direction)
        for (freedom, direction), held in groups.items()
        if freedom < 3
    ]


def exact(constraints: Sequence[Any]) -> list[Any]:
    """Constraints whose forces vanish at a minimum in any cell.

    ASE's FixScaled projects forces as if the cell vectors were orthogonal to each other.
    """
    return [_Scaled(one.index, one.mask) if type(one) is FixScaled else one for one in constraints]


def set_aside(atoms: Atoms) -> tuple[Atoms, str]:
    """A copy without constraints, and what to say of it; nothing if there were none."""
    free = atoms.copy()
    free.set_constraint()
    if not atoms.constraints:
        return free, ""
    kinds = Counter(type(constraint).__name__ for constraint in atoms.constraints)
    listed = ", ".join(kind if n == 1 else f"{n} {kind}" for kind, n in kinds.items())
    return free, f"constraints set aside, as every atom of a crystal must be free: {listed}"


class _Scaled(FixScaled):
    """ASE's FixScaled with forces projected onto the cell vectors that stay free."""

    def adjust_forces(self, atoms: Atoms, forces: np.ndarray) -> None:
        free = atoms.cell.complete().array[~np.broadcast_to(self.mask, 3)]
        basis = np.linalg.qr(free.T)[0] if len(free) else np.zeros((3, 0))
        forces[self.index] = forces[self.index] @ basis @ basis.T


def _check_held(
    index: int,
    directions: np.ndarray,
    name: str,
    structures: Sequence[Atoms],
    names: Sequence[str],
) -> None:
    """Refuse a path on which an atom leaves where a constraint holds it."""
    units = directions / np.linalg.norm(directions, axis=1, keepdims=True)
    start = structures[0].positions[index]
    for atoms, other in zip(structures, names, strict=True):
        ways = np.abs(units @ (atoms.positions[index] - start))
        if ways.max(initial=0.0) > SAME_PLACE:
            along = ", ".join(f"{part:.2g}" for part in units[int(ways.argmax())])
            raise ValueError(
                f"atom {index} ({atoms.symbols[index]}) may not move along ({along}) by a "
                f"constraint of {name}, and {other} has it {ways.max():.3g} Å away in that "
                "direction; release it, or put it in the same place"
            )


def _direction(allowed: np.ndarray) -> tuple[float, ...]:
    """Of the line (1, 3) or normal to the plane (2, 3) of what is allowed; empty for all else."""
    if len(allowed) not in (1, 2):
        return ()
    found = allowed[0] if len(allowed) == 1 else np.cross(*allowed)
    found = np.round(found, 12) + 0.0
    return tuple(map(float, found * np.sign(found[np.flatnonzero(found)[0]])))


def _complement(forbidden: np.ndarray | None) -> np.ndarray:
    """An orthonormal set (k, 3) of the directions orthogonal to all given ones."""
    if forbidden is None or not len(forbidden):
        return np.eye(3)
    return np.asarray(null_space(forbidden, rcond=_RANK_TOLERANCE).T)
