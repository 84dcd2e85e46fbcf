from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from ase_geomformer.architectures.est.sphere.norm import NORM_EPS, InvariantNorm, root_mean_square
from ase_geomformer.architectures.est.sphere.points import lebedev
from ase_geomformer.architectures.est.sphere.transform import SphericalFourier


def test_root_mean_square_over_sphere_and_channels(
    features: Callable[[int, int], Tensor],
) -> None:
    x, points = features(2, 5), lebedev(4)
    squares = SphericalFourier(2, points).values(x).square().mean(dim=-1)
    mean = squares @ torch.from_numpy(points.weights) / (4.0 * math.pi)
    expected = torch.sqrt(mean + NORM_EPS)[:, None, None]
    torch.testing.assert_close(root_mean_square(x), expected, rtol=1e-12, atol=0.0)


def test_norm_brings_functions_to_unit_size_and_weighs_degrees(
    features: Callable[[int, int], Tensor],
) -> None:
    norm, x = InvariantNorm(2, 5).double(), 30.0 * features(2, 5)
    normed = norm(x)
    torch.testing.assert_close(
        root_mean_square(normed), torch.ones(4, 1, 1).double(), rtol=1e-4, atol=0
    )
    with torch.no_grad():
        norm.weight[1, 0, 3] = 2.0
    expected = normed.clone()
    expected[:, 1:4, 3] *= 2.0
    torch.testing.assert_close(norm(x), expected)


def test_norm_of_rotated_features_is_rotated(
    features: Callable[[int, int], Tensor], rotations: Callable[[int], list[Tensor]]
) -> None:
    norm, x = InvariantNorm(3, 5).double(), features(3, 5)
    torch.nn.init.normal_(norm.weight)
    for rotation in rotations(3):
        torch.testing.assert_close(norm(rotation @ x), rotation @ norm(x), rtol=0.0, atol=1e-12)


def test_nothing_stays_nothing_with_finite_slope() -> None:
    norm, x = InvariantNorm(1, 3), torch.zeros(1, 4, 3, requires_grad=True)
    (slope,) = torch.autograd.grad(norm(x).sum(), x)
    torch.testing.assert_close(slope, torch.full_like(slope, NORM_EPS**-0.5))
