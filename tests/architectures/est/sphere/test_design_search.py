from __future__ import annotations

import numpy as np
import pytest

from ase_geomformer.architectures.est.sphere import design_search
from ase_geomformer.architectures.est.sphere.design_search import (
    design_size,
    find_design,
    harmonic_means,
    to_points,
)
from ase_geomformer.architectures.est.sphere.designs import t_design
from ase_geomformer.architectures.est.sphere.points import gauss_legendre


@pytest.mark.parametrize("degree", [3, 5, 7, 9])
def test_search_finds_what_is_stored(degree: int) -> None:
    points = to_points(find_design(degree))
    assert len(points) == design_size(degree)
    assert harmonic_means(points, degree).max() < 1e-14
    np.testing.assert_allclose(points, t_design(degree).points, rtol=0.0, atol=1e-9)


def test_points_come_with_their_antipodes() -> None:
    points = to_points(np.array([[0.3, 1.0], [1.4, -2.0]]))
    np.testing.assert_array_equal(points[2:], -points[:2])
    np.testing.assert_allclose(np.linalg.norm(points, axis=1), 1.0, rtol=0.0, atol=1e-15)


def test_harmonic_means_of_known_points() -> None:
    """The octahedron is a 3-design, the icosahedron a 5-design, and neither is more."""
    octahedron = np.concatenate([np.eye(3), -np.eye(3)])
    golden = (1.0 + np.sqrt(5.0)) / 2.0
    corners = [(0.0, a, b * golden) for a in (-1.0, 1.0) for b in (-1.0, 1.0)]
    icosahedron = np.array([np.roll(corner, k) for corner in corners for k in range(3)])
    icosahedron /= np.linalg.norm(icosahedron, axis=1, keepdims=True)
    for points, degree in ((octahedron, 3), (icosahedron, 5)):
        means = harmonic_means(points, degree + 1)
        assert means[:degree].max() < 1e-14
        assert means[degree] > 0.1


def test_harmonic_means_do_not_depend_on_the_axes(rng: np.random.Generator) -> None:
    rotation, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    points = gauss_legendre(4).points[:17]
    np.testing.assert_allclose(
        harmonic_means(points @ rotation.T, 12), harmonic_means(points, 12), rtol=0.0, atol=1e-13
    )


def test_a_search_that_fails_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(design_search, "MAX_STEPS", 2)
    with pytest.raises(RuntimeError, match="no design of degree 5 found"):
        find_design(5)
