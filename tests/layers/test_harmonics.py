from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from e3nn import o3
from scipy.integrate import lebedev_rule
from scipy.spatial.transform import Rotation
from torch import Tensor

from ase_geomformer.layers.harmonics import (
    DegreeNorm,
    DegreeSum,
    SphericalHarmonics,
    distances_and_directions,
)

pytestmark = pytest.mark.quick

DEGREES = (0, 1, 2, 3, 4, 5, 6)
EXACT = {"rtol": 0.0, "atol": 1e-12}


def harmonics(degrees: tuple[int, ...]) -> SphericalHarmonics:
    return SphericalHarmonics(degrees).double()


@pytest.fixture
def directions(rng: np.random.Generator) -> Tensor:
    vectors = torch.from_numpy(rng.normal(size=(30, 3)))
    return vectors / vectors.norm(dim=1, keepdim=True)


@pytest.mark.parametrize("degree", range(5))
def test_tables_of_the_original_code(shared: Path, degree: int) -> None:
    tables = np.load(shared / "fixtures" / "so3krates" / "tables.npz")
    values = harmonics((degree,))(torch.from_numpy(tables["unit_vectors"]))
    torch.testing.assert_close(values, torch.from_numpy(tables[f"Y{degree}"]), **EXACT)


@pytest.mark.parametrize("degree", range(9))
def test_harmonics_of_e3nn(directions: Tensor, degree: int) -> None:
    """Whose axes are (y, z, x)."""
    expected = o3.spherical_harmonics(
        degree, directions[:, [1, 2, 0]], normalize=False, normalization="integral"
    )
    torch.testing.assert_close(harmonics((degree,))(directions), expected, **EXACT)


def test_degree_one_is_the_direction(directions: Tensor) -> None:
    expected = math.sqrt(3.0 / (4.0 * math.pi)) * directions[:, [1, 2, 0]]
    torch.testing.assert_close(harmonics((1,))(directions), expected, **EXACT)


def test_orthonormal_on_the_sphere() -> None:
    """The integral of Y_a Y_b over the sphere, by a quadrature exact up to degree 15."""
    points, weights = lebedev_rule(15)
    values = harmonics(DEGREES)(torch.from_numpy(points.T.copy()))
    overlap = values.T @ (torch.from_numpy(weights)[:, None] * values)
    torch.testing.assert_close(overlap, torch.eye(49, dtype=torch.float64), **EXACT)


def test_addition_theorem(directions: Tensor) -> None:
    """sum_m Y_lm(a) Y_lm(b) = (2l+1) / (4 pi) P_l(a.b): invariant under any rotation."""
    cosines = directions @ directions.T
    for degree in DEGREES:
        values = harmonics((degree,))(directions)
        legendre = np.polynomial.Legendre.basis(degree)(cosines.numpy())
        expected = torch.from_numpy((2 * degree + 1) / (4 * math.pi) * legendre)
        torch.testing.assert_close(values @ values.T, expected, **EXACT)


def test_parity(directions: Tensor) -> None:
    for degree in DEGREES:
        here, opposite = harmonics((degree,))(directions), harmonics((degree,))(-directions)
        torch.testing.assert_close(opposite, (-1) ** degree * here, **EXACT)


def test_degrees_lie_side_by_side_in_the_order_given(directions: Tensor) -> None:
    apart = torch.cat([harmonics((degree,))(directions) for degree in (1, 3, 3)], dim=1)
    together = harmonics((1, 3, 3))
    assert together.dim == 17
    torch.testing.assert_close(together(directions), apart, **EXACT)


def test_distances_and_directions(rng: np.random.Generator) -> None:
    vectors = torch.from_numpy(rng.normal(size=(20, 3)))
    distances, directions = distances_and_directions(vectors)
    torch.testing.assert_close(distances, vectors.norm(dim=1))
    torch.testing.assert_close(distances[:, None] * directions, vectors)


def test_coincident_atoms_have_no_direction() -> None:
    """Their edge gives zeros and zero gradients through two derivatives, and spoils no other."""
    vectors = torch.tensor(
        [[0.0, 0.0, 0.0], [1.0, 2.0, 2.0]], dtype=torch.float64, requires_grad=True
    )
    distances, directions = distances_and_directions(vectors)
    assert distances.tolist() == [0.0, 3.0]
    assert directions[0].tolist() == [0.0, 0.0, 0.0]
    (slope,) = torch.autograd.grad(distances.square().sum(), vectors, create_graph=True)
    (curvature,) = torch.autograd.grad(slope.square().sum(), vectors)
    torch.testing.assert_close(slope.detach(), 2.0 * vectors.detach())
    assert torch.isfinite(curvature).all()


def test_invariants_do_not_see_a_rotation(directions: Tensor) -> None:
    degrees = (1, 2, 3, 4)
    rotation = torch.from_numpy(Rotation.from_rotvec([0.3, -1.1, 0.7]).as_matrix())
    invariants = DegreeSum(degrees).double().invariants
    # One Euclidean variable of many neighbours, as an atom carries it.
    here = harmonics(degrees)(directions).sum(dim=0)
    there = harmonics(degrees)(directions @ rotation.T).sum(dim=0)
    assert (there - here).abs().max() > 0.1
    torch.testing.assert_close(invariants(there), invariants(here), **EXACT)


def test_invariants_of_one_direction(directions: Tensor) -> None:
    """sum_m Y_lm^2 = (2l+1) / (4 pi), divided by the root of 2l+1."""
    degrees = (0, 2, 3)
    values = DegreeSum(degrees).double().invariants(harmonics(degrees)(directions))
    expected = torch.tensor([math.sqrt(2 * l + 1) / (4 * math.pi) for l in degrees]).double()
    torch.testing.assert_close(values, expected.expand(30, 3), rtol=1e-6, atol=0.0)


def test_spread_copies_a_number_to_its_degree() -> None:
    spread = DegreeSum((0, 1, 2)).spread(torch.tensor([[5.0, 6.0, 7.0]]))
    assert spread.tolist() == [[5.0, 6.0, 6.0, 6.0, 7.0, 7.0, 7.0, 7.0, 7.0]]


def test_norm_of_each_degree(rng: np.random.Generator) -> None:
    values = torch.from_numpy(rng.normal(size=(5, 9)))
    norms = DegreeNorm((0, 1, 2))
    parts = values.split([1, 3, 5], dim=1)
    expected = torch.stack([part.norm(dim=1) for part in parts], dim=1)
    torch.testing.assert_close(norms.invariants(values), expected, **EXACT)
    torch.testing.assert_close(norms.total(values), values.norm(dim=1), **EXACT)
    lengths = torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64)
    brought = norms.invariants(norms.normalised(values, lengths))
    torch.testing.assert_close(brought, lengths.expand(5, 3), **EXACT)


def test_softened_norm_is_smooth_at_zero_and_a_norm_far_from_it() -> None:
    softened, plain = DegreeNorm((1,), 0.1), DegreeNorm((1,))
    line = torch.tensor([0.0, 1e-8, 1e4], dtype=torch.float64, requires_grad=True)
    direction = torch.tensor([0.6, 0.0, 0.8], dtype=torch.float64)
    values = softened.invariants(line[:, None] * direction)[:, 0]
    (slope,) = torch.autograd.grad(values.sum(), line, create_graph=True)
    (curvature,) = torch.autograd.grad(slope.sum(), line)
    torch.testing.assert_close(values[[0, 2]].detach(), torch.tensor([0.0, 1e4 - 0.1]).double())
    torch.testing.assert_close(curvature[:2], torch.full((2,), 10.0, dtype=torch.float64))
    assert softened.normalised(torch.zeros(1, 3).double(), torch.ones(1).double()).eq(0.0).all()
    cusp = plain.invariants(line[:, None] * direction)[:, 0]
    (slope,) = torch.autograd.grad(cusp.sum(), line, create_graph=True)
    torch.testing.assert_close(slope.detach(), torch.tensor([0.0, 1.0, 1.0]).double())
    (curvature,) = torch.autograd.grad(slope.sum(), line)
    assert torch.isfinite(curvature).all()


def test_rounded_weights_are_those_of_float32() -> None:
    exact, rounded = DegreeSum((1, 2)).contraction, DegreeSum((1, 2), rounded=True).contraction
    assert rounded.dtype == torch.float64
    assert torch.equal(rounded, exact.float().double())
    assert not torch.equal(rounded, exact)
