from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from ase_geomformer.architectures.est.sphere.linear import FunctionLinear, uniform_linear
from ase_geomformer.architectures.est.sphere.points import lebedev
from ase_geomformer.architectures.est.sphere.transform import SphericalFourier


def test_uniform_weights_within_their_bound() -> None:
    torch.manual_seed(0)
    layer = uniform_linear(300, 300, gain=0.1)
    bound = 0.1 / math.sqrt(300)
    assert 0.99 * bound < layer.weight.abs().max() <= bound
    assert math.isclose(layer.weight.std().item(), bound / math.sqrt(3.0), rel_tol=0.02)
    assert (layer.bias == 0.0).all()
    assert uniform_linear(3, 4, bias=False).bias is None


def test_acts_on_coefficients_as_on_the_values_at_every_point(
    features: Callable[[int, int], Tensor],
) -> None:
    torch.manual_seed(0)
    layer = FunctionLinear(3, 5, 7).double()
    torch.nn.init.normal_(layer.bias)
    transform = SphericalFourier(3, lebedev(6))
    x = features(3, 5)
    expected = functional.linear(transform.values(x), layer.weight, layer.bias)
    torch.testing.assert_close(transform.values(layer(x)), expected, rtol=0.0, atol=1e-12)
