"""Trajectories of charged particles: the N-body data of Satorras et al., EGNN (ICML 2021).

After Fuchs et al. (NeurIPS 2020) and Kipf et al. (ICML 2018): five particles with charges of plus
or minus one move under inverse-square forces. They are generated, not downloaded.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

PARTICLES = 5
TIMESTEP = 1e-3
FIRST, LAST = 3100, 4100  # steps at which positions are given and asked for
DURATION = (LAST - FIRST) * TIMESTEP
LARGEST_FORCE = 100.0  # of each component
SPLIT = {"train": 3000, "validation": 2000, "test": 2000}


@dataclass(frozen=True, eq=False)
class Trajectories:
    """Charges (B, 5), positions and velocities (B, 5, 3) at the start, positions at the end."""

    charges: Tensor
    positions: Tensor
    velocities: Tensor
    targets: Tensor

    def __getitem__(self, index: Tensor | slice) -> Trajectories:
        return Trajectories(
            self.charges[index], self.positions[index], self.velocities[index], self.targets[index]
        )

    def __len__(self) -> int:
        return len(self.charges)


def published_split() -> dict[str, Trajectories]:
    """The trajectories to train on, to choose by, and to test on."""
    return {name: simulate(number, seed) for seed, (name, number) in enumerate(SPLIT.items())}


def simulate(number: int, seed: int) -> Trajectories:
    """Trajectories by the published protocol, all at once.

    Positions start from a standard normal, velocities with length 0.5; each step moves positions
    by the velocities, then velocities by the forces, whose components are cut at 100.
    """
    generator = np.random.default_rng(seed)
    charges = generator.choice([-1.0, 1.0], size=(PARTICLES, number))
    # Trajectories run along the last axis, so that every operation is one on long vectors.
    positions = generator.normal(size=(PARTICLES, 3, number))
    velocities = generator.normal(size=(PARTICLES, 3, number))
    velocities *= 0.5 / np.linalg.norm(velocities, axis=1, keepdims=True)
    first, second = np.triu_indices(PARTICLES, 1)
    products = charges[first] * charges[second]
    velocities += TIMESTEP * coulomb(positions, products)
    for step in range(1, LAST + 1):
        positions = positions + TIMESTEP * velocities
        if step == FIRST:
            start = positions, velocities.copy()
        velocities += TIMESTEP * coulomb(positions, products)
    arrays = (charges, *start, positions)
    return Trajectories(*(torch.from_numpy(np.moveaxis(a, -1, 0).copy()).float() for a in arrays))


def coulomb(positions: NDArray[np.float64], products: NDArray[np.float64]) -> NDArray[np.float64]:
    """Inverse-square forces (5, 3, B) from the products (10, B) of charges; likes repel."""
    pairs = np.arange(len(products))
    first, second = np.triu_indices(PARTICLES, 1)
    incidence = np.zeros((PARTICLES, len(products)))
    incidence[first, pairs], incidence[second, pairs] = 1.0, -1.0
    vectors = np.tensordot(incidence.T, positions, axes=1)
    squares = (vectors * vectors).sum(axis=1)
    pushes = vectors * (products / (squares * np.sqrt(squares)))[:, None]
    return np.clip(np.tensordot(incidence, pushes, axes=1), -LARGEST_FORCE, LARGEST_FORCE)
