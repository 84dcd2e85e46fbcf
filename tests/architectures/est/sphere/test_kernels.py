from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from ase_geomformer.architectures.est.sphere.kernels import (
    LOGIT_CAP,
    capped_softmax_weights,
    polynomial_weights,
    softmax_weights,
)
from ase_geomformer.architectures.est.sphere.points import lebedev

POINTS = lebedev(9)
QUADRATURE = torch.from_numpy(POINTS.weights)
SOFTMAXES = [softmax_weights, capped_softmax_weights]


@pytest.fixture
def logits(rng: np.random.Generator) -> Tensor:
    return torch.from_numpy(rng.normal(size=(2, 3, POINTS.num_points, POINTS.num_points)))


@pytest.mark.parametrize("weights", [*SOFTMAXES, polynomial_weights])
def test_equal_logits_give_the_mean_over_the_sphere(weights, logits: Tensor) -> None:
    """Points of small weight count for as much of the sphere as they stand for."""
    found = weights(torch.zeros_like(logits), QUADRATURE)
    torch.testing.assert_close(found, (QUADRATURE / (4.0 * math.pi)).expand_as(found))


@pytest.mark.parametrize("weights", SOFTMAXES)
def test_softmax_weights_sum_to_one_for_every_direction(weights, logits: Tensor) -> None:
    sums = weights(5.0 * logits, QUADRATURE).sum(dim=-1)
    torch.testing.assert_close(sums, torch.ones_like(sums))


def test_softmax_is_the_ratio_of_two_integrals(logits: Tensor) -> None:
    exponentials = QUADRATURE * logits.exp()
    expected = exponentials / exponentials.sum(dim=-1, keepdim=True)
    torch.testing.assert_close(softmax_weights(logits, QUADRATURE), expected)


def test_polynomial_is_the_exponential_to_second_order_over_its_mean(logits: Tensor) -> None:
    found = polynomial_weights(logits, QUADRATURE)
    expansion = (1.0 + logits + logits**2 / 2.0) * QUADRATURE
    ratio = found / expansion
    torch.testing.assert_close(ratio, ratio[..., :1, :1].expand_as(ratio))
    mean = torch.einsum("s,nhst->nh", QUADRATURE / (4.0 * math.pi), found)
    torch.testing.assert_close(mean, torch.ones_like(mean))
    assert (found > 0.0).all()


def test_polynomial_approaches_softmax_for_small_logits(logits: Tensor) -> None:
    """With logits that do not depend on the query, both are normalised alike."""
    keys = 1e-3 * logits[..., :1, :].expand_as(logits)
    torch.testing.assert_close(
        polynomial_weights(keys, QUADRATURE), softmax_weights(keys, QUADRATURE), rtol=1e-8, atol=0
    )


def test_cap_bounds_how_sharp_attention_can_be(logits: Tensor) -> None:
    weights = capped_softmax_weights(1e3 * logits, QUADRATURE) / QUADRATURE
    spread = weights.amax(dim=-1) / weights.amin(dim=-1)
    assert spread.max() <= math.exp(2.0 * LOGIT_CAP) * (1.0 + 1e-9)
