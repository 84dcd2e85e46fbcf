from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation
from torch import Tensor

from ase_geomformer.architectures.est.sphere.transform import real_harmonics
from tests.architectures.est.sphere.turning import representation


@pytest.fixture
def rotations(rng: np.random.Generator) -> Callable[[int], list[Tensor]]:
    """Twelve random rotations as matrices of the degrees up to lmax."""
    drawn = Rotation.random(12, random_state=rng).as_matrix()
    return lambda lmax: [representation(lmax, rotation) for rotation in drawn]


@pytest.fixture
def features(rng: np.random.Generator) -> Callable[[int, int], Tensor]:
    """Features (4, (lmax+1)^2, channels) of atoms with 12 neighbours in random directions."""

    def make(lmax: int, channels: int) -> Tensor:
        directions = rng.normal(size=(4 * 12, 3))
        directions /= np.linalg.norm(directions, axis=1, keepdims=True)
        harmonics = real_harmonics(lmax, directions).unflatten(0, (4, 12))
        sizes = torch.tensor([2 * l + 1 for l in range(lmax + 1)])
        by_degree = torch.from_numpy(rng.normal(size=(4, 12, lmax + 1, channels)))
        filters = by_degree.repeat_interleave(sizes, dim=2)
        x = torch.einsum("nem,nemc->nmc", harmonics, filters)
        return x / x.std(dim=(0, 2), keepdim=True)

    return make
