from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from ase_geomformer.architectures.est.sphere.points import fibonacci_poles, lebedev, point_set
from ase_geomformer.architectures.est.sphere.transform import SphericalFourier, real_harmonics
from ase_geomformer.layers.harmonics import SphericalHarmonics

EXACT = {"rtol": 0.0, "atol": 1e-12}


@pytest.mark.parametrize("rule", ["lebedev", "t_design", "gauss_legendre"])
@pytest.mark.parametrize("lmax", range(7))
def test_round_trip(rule: str, lmax: int, features: Callable[[int, int], Tensor]) -> None:
    transform = SphericalFourier(lmax, point_set(rule, max(2 * lmax, 1)))
    x = features(lmax, 5)
    torch.testing.assert_close(transform.coefficients(transform.values(x)), x, **EXACT)


@pytest.mark.parametrize("rule", ["lebedev", "t_design", "gauss_legendre"])
@pytest.mark.parametrize("lmax", range(1, 7))
def test_a_constant_has_degree_zero_only(rule: str, lmax: int) -> None:
    transform = SphericalFourier(lmax, point_set(rule, lmax))
    constant = torch.full((1, len(transform.to_points), 1), 1.7, dtype=torch.float64)
    expected = torch.zeros(1, (lmax + 1) ** 2, 1, dtype=torch.float64)
    expected[0, 0] = 1.7 * math.sqrt(4.0 * math.pi)
    torch.testing.assert_close(transform.coefficients(constant), expected, **EXACT)


def test_mean_square_over_the_sphere(features: Callable[[int, int], Tensor]) -> None:
    x = features(3, 2)
    points = lebedev(6)
    squares = SphericalFourier(3, points).values(x).square()
    mean = torch.einsum("s,nsc->nc", torch.from_numpy(points.weights), squares) / (4.0 * math.pi)
    torch.testing.assert_close(mean, x.square().sum(dim=1) / (4.0 * math.pi), **EXACT)


def test_harmonics_are_those_of_the_other_layers_on_permuted_axes() -> None:
    """Grid and edges may be laid on different axes: all directions turn together."""
    points = lebedev(9).points
    ours = SphericalHarmonics(range(5)).double()(torch.from_numpy(points))
    torch.testing.assert_close(real_harmonics(4, points[:, [1, 2, 0]]), ours, **EXACT)


def test_finer_points_give_the_same_coefficients(features: Callable[[int, int], Tensor]) -> None:
    x = features(2, 3)
    squared = [
        transform.coefficients(transform.values(x).square())
        for transform in (SphericalFourier(2, lebedev(degree)) for degree in (6, 23))
    ]
    torch.testing.assert_close(squared[0], squared[1], **EXACT)


def test_tables_are_not_saved() -> None:
    assert SphericalFourier(2, lebedev(6)).state_dict() == {}


def test_published_transform_leaks_constants() -> None:
    """The numbers of the specification for S = 90 at L = 4: 4-7 % and 4.4e-2 of a constant."""
    transform = SphericalFourier(4, fibonacci_poles(90), published=True)
    torch.testing.assert_close(transform.from_points, transform.to_points.T)
    norms = transform.to_points.square().sum(dim=0)
    torch.testing.assert_close(norms, torch.ones_like(norms), **EXACT)
    leak = transform.from_points.sum(dim=1)
    assert (leak[1:].norm() / leak[0]).item() == pytest.approx(4.4e-2, rel=0.05)
