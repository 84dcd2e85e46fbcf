"""Random structures of every kind, and the neighbour list by brute force."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from ase_geomformer.neighbors import BACKENDS, NeighborList


@dataclass(frozen=True)
class Structure:
    """Positions (N, 3), cell (3, 3), pbc (3,) and the cutoff to be used with them."""

    positions: NDArray[np.float64]
    cell: NDArray[np.float64]
    pbc: NDArray[np.bool_]
    cutoff: float

    @property
    def tensors(self) -> tuple[Tensor, Tensor, Tensor]:
        return tuple(torch.tensor(array) for array in (self.positions, self.cell, self.pbc))


CELLS = ("cubic", "triclinic", "skewed", "left-handed", "small", "long", "flat")


def random_cell(rng: np.random.Generator, kind: str) -> NDArray[np.float64]:
    """A cell of the kind, in a random orientation."""
    shear = np.eye(3)
    if kind in ("triclinic", "left-handed", "small"):
        shear += 0.4 * rng.uniform(-1, 1, (3, 3))
    if kind == "skewed":
        shear[1, 0], shear[2, 0], shear[2, 1] = rng.uniform(-4, 4, 3)
    lengths = {
        "small": rng.uniform(1.2, 2.5, 3),
        "long": rng.permutation([2.0, 5.0, 14.0]),
        "flat": rng.permutation([1.0, 7.0, 7.0]),
    }.get(kind, rng.uniform(4, 8, 3))
    rotation = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    rotation *= np.sign(np.linalg.det(rotation))
    cell = shear * lengths[:, None] @ rotation
    handedness = -1 if kind == "left-handed" else 1
    if np.linalg.det(cell) * handedness < 0:
        cell[2] *= -1
    return cell


def random_structure(seed: int) -> Structure:
    """A structure with a kind of cell, of boundaries, of filling and of place drawn at random."""
    rng = np.random.default_rng(seed)
    cell = random_cell(rng, rng.choice(CELLS))
    pbc = rng.random(3) < 0.6
    atoms = int(rng.choice([1, 2, 5, 12]))
    fractions = rng.random((atoms, 3))
    fractions += rng.choice([0, 1]) * rng.integers(-3, 4, (atoms, 3))
    positions = fractions @ cell + rng.choice([0.0, 40.0]) * rng.normal(size=3)
    if atoms > 2 and rng.random() < 0.3:
        positions[1] = positions[0]
    if rng.random() < 0.5:
        # What stands on an open axis must not matter.
        cell[~pbc] = rng.choice([0.0, 1.0]) * rng.normal(size=(int((~pbc).sum()), 3))
    return Structure(positions, cell, pbc, float(rng.uniform(1.0, 5.0)))


def brute_force(structure: Structure) -> NDArray[np.int64]:
    """All edges (E, 5), rows i, j, S_x, S_y, S_z in lexicographic order, from all images."""
    x, pbc, cutoff = structure.positions, structure.pbc, structure.cutoff
    cell = structure.cell * pbc[:, None]
    # The left inverse of the periodic vectors gives coordinates along them.
    inverse = np.linalg.pinv(cell)
    spans = np.where(pbc, np.ceil(cutoff * np.linalg.norm(inverse, axis=0) + 0.5), 0).astype(int)
    steps = np.array(list(itertools.product(*(range(-n, n + 1) for n in spans))))
    edges = []
    for i, j in itertools.product(range(len(x)), repeat=2):
        nearest = -np.round((x[j] - x[i]) @ inverse).astype(int) * pbc
        shifts = nearest + steps
        distances = np.linalg.norm(x[j] - x[i] + shifts @ cell, axis=1)
        near = distances <= cutoff
        if i == j:
            near &= shifts.any(axis=1)
        edges += [(i, j, *shift) for shift in shifts[near].tolist()]
    return np.array(sorted(edges), dtype=np.int64).reshape(-1, 5)


def rows(edges: NeighborList) -> NDArray[np.int64]:
    """The edges (E, 5) in the order of the list."""
    return torch.cat([edges.edge_index.T, edges.shifts], dim=1).numpy()


def gas(atoms: int, density: float = 0.05, seed: int = 0) -> Structure:
    """A periodic random gas of so many atoms per Å^3."""
    length = (atoms / density) ** (1 / 3)
    positions = np.random.default_rng(seed).random((atoms, 3)) * length
    return Structure(positions, np.eye(3) * length, np.ones(3, dtype=bool), 5.0)


def installed(backend: str) -> str:
    """The backend's name; skips the test where it is not installed."""
    if backend != "auto" and not BACKENDS[backend].available:
        pytest.skip(f"{backend} is not installed: pip install {BACKENDS[backend].install}")
    return backend
