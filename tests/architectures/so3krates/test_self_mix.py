from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation
from torch import Tensor

from ase_geomformer.architectures.so3krates.self_mix import SelfMix
from ase_geomformer.convert.so3krates_2022 import FLIPPED_PRODUCTS
from ase_geomformer.layers.harmonics import SphericalHarmonics

pytestmark = pytest.mark.quick

DEGREES = (0, 1, 2, 3)
TURN = Rotation.from_rotvec([0.3, -1.1, 0.7]).as_matrix()
EXACT = {"rtol": 0.0, "atol": 1e-12}


def self_mix(*, parity: bool) -> SelfMix:
    torch.manual_seed(0)
    return SelfMix(DEGREES, parity=parity).double()


def euclidean_variables(vectors: Tensor) -> Tensor:
    """Of one atom (1, M): harmonics of its neighbours, each degree with a weight of its own."""
    directions = vectors / vectors.norm(dim=1, keepdim=True)
    return SphericalHarmonics(DEGREES)(directions).sum(dim=0, keepdim=True)


@pytest.fixture
def vectors(rng: np.random.Generator) -> Tensor:
    return torch.from_numpy(rng.normal(size=(6, 3)))


def blocks(values: Tensor) -> tuple[Tensor, ...]:
    return values.split([2 * l + 1 for l in DEGREES], dim=1)


@pytest.mark.parametrize("parity", [True, False])
def test_products_turn_with_the_atoms(vectors: Tensor, parity: bool) -> None:
    """Degree by degree as the harmonics themselves do."""
    module, turn = self_mix(parity=parity), torch.from_numpy(TURN)
    here = module(euclidean_variables(vectors))
    there = module(euclidean_variables(vectors @ turn.T))
    directions = torch.nn.functional.normalize(vectors.repeat(3, 1) + torch.arange(18.0)[:, None])
    for degree, before, after in zip(DEGREES, blocks(here), blocks(there), strict=True):
        harmonics = SphericalHarmonics((degree,))
        matrix = torch.linalg.lstsq(harmonics(directions), harmonics(directions @ turn.T)).solution
        assert before.abs().max() > 1e-3 or degree == 0
        torch.testing.assert_close(after, before @ matrix, **EXACT)


def test_only_even_products_keep_their_sign_under_inversion(vectors: Tensor) -> None:
    signs = torch.cat([torch.full((2 * l + 1,), (-1.0) ** l, dtype=torch.float64) for l in DEGREES])
    here, there = euclidean_variables(vectors), euclidean_variables(-vectors)
    even, every = self_mix(parity=True), self_mix(parity=False)
    torch.testing.assert_close(even(there), signs * even(here), **EXACT)
    assert (every(there) - signs * every(here)).abs().max() > 1e-3


def test_product_of_two_vectors_is_their_cross_product(rng: np.random.Generator) -> None:
    """(1 x 1)_1, which only two variables of degree one give."""
    module = SelfMix((1, 1), parity=False).double()
    with torch.no_grad():
        module.weight.zero_()
        module.weight[0, 0, 1] = 6.0**0.5
    a, b = rng.normal(size=(2, 3))
    axes = [1, 2, 0]  # components of degree one are (y, z, x)
    found = module(torch.from_numpy(np.concatenate([a[axes], b[axes]]))[None])
    expected = torch.from_numpy(np.concatenate([np.cross(a, b)[axes], np.zeros(3)]))[None]
    torch.testing.assert_close(found, expected, **EXACT)


def test_coefficients_are_those_of_the_original_code(shared: Path) -> None:
    """Up to the signs that the converter turns."""
    path = shared / "fixtures" / "so3krates" / "random_2022_v01" / "cg_real_lmax4.npz"
    published, degrees = np.load(path)["cg"], (0, 1, 2, 3, 4)
    ours = SelfMix(degrees, parity=False).coefficients.numpy()
    places = {l: slice(l * l, (l + 1) ** 2) for l in degrees}
    compared = 0
    for first in degrees:
        for second in degrees[first + 1 :]:
            for out in degrees:
                block = places[out], places[first], places[second]
                sign = -1.0 if (first, second, out) in FLIPPED_PRODUCTS else 1.0
                np.testing.assert_allclose(ours[block], sign * published[block], atol=1e-14)
                compared += bool(ours[block].any())
    assert compared == 23
    np.testing.assert_array_equal(np.abs(ours[:, places[2], places[1]]), 0.0)
