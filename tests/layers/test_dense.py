from __future__ import annotations

import math

import pytest
import torch

from ase_geomformer.layers.dense import HeadLinear, dense, lecun_normal_

pytestmark = pytest.mark.quick


def test_lecun_normal_keeps_the_variance_of_its_input() -> None:
    torch.manual_seed(0)
    weight = lecun_normal_(torch.empty(400, 400), 400)
    assert math.isclose(weight.std().item(), 1.0 / math.sqrt(400), rel_tol=0.02)
    assert abs(weight.mean().item()) < 1e-3
    # The truncated normal has no tails: they are what makes some seeds train badly.
    assert weight.abs().max() < 2.3 / math.sqrt(400)


def test_dense_starts_without_bias() -> None:
    assert (dense(4, 6).bias == 0.0).all()
    assert dense(4, 6, bias=False).bias is None


def test_head_linear_is_block_diagonal() -> None:
    """Each head sees its own contiguous block of features only."""
    torch.manual_seed(0)
    layer = HeadLinear(12, 3).double()
    features = torch.randn(5, 12, dtype=torch.float64)
    expected = features @ torch.block_diag(*layer.weight).T
    torch.testing.assert_close(layer(features), expected)


def test_head_linear_adds_the_bias_of_each_head() -> None:
    torch.manual_seed(0)
    layer = HeadLinear(6, 2, bias=True)
    features = torch.randn(4, 6)
    before = layer(features)
    with torch.no_grad():
        layer.bias[1, 2] = 5.0
    expected = torch.tensor([0.0, 0.0, 0.0, 0.0, 0.0, 5.0]).expand(4, 6)
    torch.testing.assert_close(layer(features) - before, expected)
