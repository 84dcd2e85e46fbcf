from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.integrate import lebedev_rule

from ase_geomformer.architectures.est.sphere.points import (
    LAST_TABULATED,
    LEBEDEV_DEGREES,
    POINT_RULES,
    fibonacci_midpoint,
    fibonacci_poles,
    gauss_legendre,
    lattice_size,
    lebedev,
    point_set,
)

EXACT_RULES = ("lebedev", "t_design", "gauss_legendre")


def monomial_integral(powers: tuple[int, int, int]) -> float:
    """Integral of x^a y^b z^c over the sphere: 2 G((a+1)/2) G((b+1)/2) G((c+1)/2) / G(...)."""
    if any(power % 2 for power in powers):
        return 0.0
    halves = [(power + 1) / 2 for power in powers]
    return 2.0 * math.prod(map(math.gamma, halves)) / math.gamma(sum(halves))


@pytest.mark.parametrize("rule", POINT_RULES)
@pytest.mark.parametrize("degree", [3, 8, 14])
def test_unit_vectors_and_positive_weights_of_the_whole_sphere(rule: str, degree: int) -> None:
    found = point_set(rule, degree)
    assert found.points.shape == (found.num_points, 3)
    np.testing.assert_allclose(np.linalg.norm(found.points, axis=1), 1.0, rtol=0.0, atol=1e-14)
    assert (found.weights > 0.0).all()
    assert math.isclose(found.weights.sum(), 4.0 * math.pi, rel_tol=1e-14)
    distances = np.linalg.norm(found.points[:, None] - found.points, axis=-1)
    assert (distances + 2.0 * np.eye(found.num_points)).min() > 1e-3


@pytest.mark.parametrize("degree", [d for d in LEBEDEV_DEGREES if d <= LAST_TABULATED + 4])
def test_tabulated_lebedev_rules_are_those_of_scipy(degree: int) -> None:
    points, weights = lebedev_rule(degree)
    found = lebedev(degree)
    np.testing.assert_array_equal(found.points, points.T)
    np.testing.assert_array_equal(found.weights, weights)


@pytest.mark.parametrize("rule", EXACT_RULES)
@pytest.mark.parametrize("degree", range(1, 15))
def test_every_monomial_up_to_the_degree_is_integrated_exactly(rule: str, degree: int) -> None:
    found = point_set(rule, degree)
    assert found.degree >= degree
    for a in range(found.degree + 1):
        for b in range(found.degree + 1 - a):
            for c in range(found.degree + 1 - a - b):
                values = np.prod(found.points ** np.array([a, b, c]), axis=1)
                error = found.weights @ values - monomial_integral((a, b, c))
                assert abs(error) < 1e-12, (a, b, c)


@pytest.mark.parametrize("rule", EXACT_RULES)
@pytest.mark.parametrize("degree", [3, 6, 9])
def test_the_degree_promises_no_more_than_holds(rule: str, degree: int) -> None:
    """Some harmonic of the next even degree is integrated wrongly: the stated degree is sharp."""
    found = point_set(rule, degree)
    beyond = found.degree + 1 + (found.degree + 1) % 2
    cosines = np.clip(found.points @ found.points.T, -1.0, 1.0)
    legendre = np.polynomial.legendre.Legendre.basis(beyond)(cosines)
    assert found.weights @ legendre @ found.weights > 1e-2


@pytest.mark.parametrize("rule", EXACT_RULES)
def test_antipodal(rule: str) -> None:
    """The branch keeps the parity of its features on point sets with p and -p alike."""
    points = point_set(rule, 9).points
    nearest = np.linalg.norm(points[:, None] + points, axis=-1).min(axis=1)
    np.testing.assert_allclose(nearest, 0.0, atol=1e-13)


def test_lebedev_skips_the_rules_with_negative_weights() -> None:
    for degree, found in ((13, 15), (24, 29), (27, 29)):
        assert lebedev(degree).degree == found
    for degree in LEBEDEV_DEGREES:
        if degree < 60:
            assert (lebedev(degree).weights > 0.0).all()


@pytest.mark.parametrize(("lmax", "size"), [(2, 30), (3, 56), (4, 90), (5, 132), (6, 182)])
def test_published_lattice_sizes(lmax: int, size: int) -> None:
    assert lattice_size(2 * lmax) == size
    assert point_set("fibonacci_poles", 2 * lmax).num_points == size


def test_the_published_lattice_has_both_poles_and_the_other_has_none() -> None:
    heights = fibonacci_poles(30).points[:, 1]
    assert heights[0] == 1.0
    assert heights[-1] == -1.0
    np.testing.assert_allclose(np.diff(heights), -2.0 / 29, rtol=0.0, atol=1e-15)
    assert abs(fibonacci_midpoint(30).points[:, 1]).max() == pytest.approx(1.0 - 1.0 / 30)


def test_neighbours_in_a_lattice_are_a_golden_angle_apart() -> None:
    x, _, z = fibonacci_midpoint(50).points.T
    turns = np.diff(np.unwrap(np.arctan2(z, x))) % (2.0 * np.pi)
    np.testing.assert_allclose(turns, np.pi * (3.0 - math.sqrt(5.0)), rtol=0.0, atol=1e-12)


def test_gauss_legendre_takes_any_degree() -> None:
    assert gauss_legendre(40).num_points == 21 * 42


@pytest.mark.parametrize(
    ("rule", "degree", "message"),
    [
        ("lebedew", 5, "unknown rule 'lebedew' .*lebedev"),
        ("lebedev", 0, "at least 1, not 0"),
        ("lebedev", 132, "no Lebedev rule of degree 132.*gauss_legendre"),
        ("t_design", 32, "no t-design of degree 32.*lebedev"),
    ],
)
def test_what_does_not_exist_is_refused(rule: str, degree: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        point_set(rule, degree)
