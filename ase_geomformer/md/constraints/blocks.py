"""Constraints by the groups of atoms that they couple, such as the bonds of one molecule."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from ase_geomformer.md.constraints.equations import Equations

# Eigenvalues of the normalised coupling matrix below this belong to equations that repeat others.
REDUNDANT = 1e-9


@dataclass(eq=False)
class Block:
    """B groups of the same shape: M equations that couple A atoms.

    Attributes
    ----------
    rows : array of int (B, M)
        The equations, by their number among all.
    atoms : array of int (B, A)
    entries : array of int (E,)
        Which of all gradients belong here ...
    places : tuple of three arrays of int (E,)
        ... and where: group, equation and atom in it.
    is_linear : bool
        Whether all gradients are constant.
    jacobian : array (B, M, A, 3)
    eigenvalues : array (B, M)
        Of the coupling J W J^T, normalised to a unit diagonal; W is the mobility.
    inverse : array (B, M, M)
        Pseudo-inverse of the coupling.
    """

    rows: np.ndarray
    atoms: np.ndarray
    entries: np.ndarray
    places: tuple[np.ndarray, ...]
    is_linear: bool
    jacobian: np.ndarray = field(default_factory=lambda: np.zeros(0))
    eigenvalues: np.ndarray = field(default_factory=lambda: np.zeros(0))
    inverse: np.ndarray = field(default_factory=lambda: np.zeros(0))

    def update(self, gradients: np.ndarray, mobility: np.ndarray) -> None:
        """Take the gradients of all equations (E, 3) at new positions, for a mobility (N, 3)."""
        self.jacobian = np.zeros((*self.rows.shape, self.atoms.shape[1], 3))
        np.add.at(self.jacobian, self.places, gradients[self.entries])
        flat = self.jacobian.reshape(*self.rows.shape, -1)
        weighted = flat * mobility[self.atoms].reshape(len(flat), 1, -1)
        coupling = weighted @ flat.swapaxes(1, 2)
        diagonal = np.einsum("bmm->bm", coupling)
        movable = diagonal > 0.0
        scale = np.where(movable, 1.0 / np.sqrt(np.where(movable, diagonal, 1.0)), 0.0)
        normalised = coupling * scale[:, :, None] * scale[:, None, :]
        self.eigenvalues, vectors = np.linalg.eigh(normalised)
        kept = self.eigenvalues > REDUNDANT
        inverse = np.where(kept, 1.0 / np.where(kept, self.eigenvalues, 1.0), 0.0)
        vectors = scale[:, :, None] * vectors
        self.inverse = (vectors * inverse[:, None, :]) @ vectors.swapaxes(1, 2)

    def rates(self, velocities: np.ndarray) -> np.ndarray:
        """Rates of change (B, M) of the equations for velocities (N, 3)."""
        moving = velocities[self.atoms].reshape(len(self.atoms), -1, 1)
        return np.asarray(self.jacobian.reshape(*self.rows.shape, -1) @ moving)[..., 0]

    def momenta(self, rates: np.ndarray) -> np.ndarray:
        """Momenta (B, A, 3) along the gradients that have these rates (B, M)."""
        multipliers = (self.inverse @ rates[..., None]).swapaxes(1, 2)
        found = multipliers @ self.jacobian.reshape(*self.rows.shape, -1)
        return np.asarray(found).reshape(*self.atoms.shape, 3)


def blocks(equations: Sequence[Equations], free: np.ndarray) -> list[Block]:
    """Sort equations into blocks.

    Parameters
    ----------
    equations : sequence of Equations
    free : array (N, 3)
        Zero for coordinates that do not move, and so couple nothing.
    """
    if not equations:
        return []
    atom = np.concatenate([entry.atoms.ravel() for entry in equations])
    counts = np.concatenate([np.full(len(e.atoms), e.atoms.shape[1]) for e in equations])
    is_linear = np.concatenate([np.full(len(e.atoms), e.is_linear) for e in equations])
    row = np.repeat(np.arange(len(counts)), counts)
    groups = _groups(equations, free, row, atom)
    ends = np.cumsum(counts)
    shapes = defaultdict(list)
    for rows in groups:
        entries = np.concatenate([np.arange(ends[r] - counts[r], ends[r]) for r in rows])
        atoms = np.unique(atom[entries])
        found = (rows, atoms, entries)
        shapes[len(rows), len(atoms), bool(is_linear[rows].all())].append(found)
    result = []
    for (_, _, linear), members in shapes.items():
        places = [
            (np.full(len(entries), number), *_places(rows, row[entries], atoms, atom[entries]))
            for number, (rows, atoms, entries) in enumerate(members)
        ]
        result.append(
            Block(
                rows=np.stack([rows for rows, _, _ in members]),
                atoms=np.stack([atoms for _, atoms, _ in members]),
                entries=np.concatenate([entries for _, _, entries in members]),
                places=tuple(np.concatenate(part) for part in zip(*places, strict=True)),
                is_linear=linear,
            )
        )
    return result


def _places(
    rows: np.ndarray, row: np.ndarray, atoms: np.ndarray, atom: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    return np.searchsorted(rows, row), np.searchsorted(atoms, atom)


def _groups(
    equations: Sequence[Equations], free: np.ndarray, row: np.ndarray, atom: np.ndarray
) -> list[np.ndarray]:
    """The numbers of the equations that must be solved together.

    Equations are coupled by the atoms they share if these can move. The centre of mass of all
    atoms is coupled to nothing that depends on relative positions only.
    """
    num_rows, num_atoms = int(row[-1]) + 1, len(free)
    node = atom.copy()
    others = [entry for entry in equations if not entry.is_centre]
    if free.all() and all(entry.is_internal for entry in others):
        centre = np.concatenate([np.full(e.atoms.size, e.is_centre) for e in equations])
        node[centre] = num_atoms
    couples = np.append(free.any(axis=1), True)[node]
    edges = (row[couples], num_rows + node[couples])
    size = num_rows + num_atoms + 1
    graph = coo_array((np.ones(len(edges[0])), edges), shape=(size, size))
    labels = connected_components(graph, directed=False)[1][:num_rows]
    order = np.argsort(labels, kind="stable")
    return list(np.split(order, np.flatnonzero(np.diff(labels[order])) + 1))
