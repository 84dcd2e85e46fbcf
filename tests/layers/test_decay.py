"""Radial functions are ordinary numbers or zero, and so are their derivatives."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from ase_geomformer.layers.cutoff import CUTOFFS
from ase_geomformer.layers.decay import LEAST_EXPONENT, decaying_exp
from ase_geomformer.layers.radial import RADIAL_BASES

pytestmark = pytest.mark.quick

CUTOFF = 5.0


def tiny(*tensors: Tensor) -> int:
    """How many numbers are too small for full precision."""
    smallest = torch.finfo(torch.float32).tiny
    return sum(int(((t != 0) & (t.abs() < smallest)).sum()) for t in tensors)


def with_derivatives(values: Tensor, inputs: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    (slope,) = torch.autograd.grad(values.sum(), inputs, create_graph=True)
    (curvature,) = torch.autograd.grad(slope.sum(), inputs)
    return values, slope, curvature


def test_it_is_the_exponential_function_down_to_its_end() -> None:
    exponents = torch.linspace(LEAST_EXPONENT, 5.0, 50, dtype=torch.float64)
    assert torch.equal(decaying_exp(exponents), torch.exp(exponents))


def test_what_it_leaves_out_is_nothing_beside_one() -> None:
    assert 1.0 + 1e6 * math.exp(LEAST_EXPONENT) == 1.0


def test_beyond_the_end_all_is_zero_and_finite() -> None:
    exponents = torch.tensor([-61.0, -200.0, -math.inf], requires_grad=True)
    for tensor in with_derivatives(decaying_exp(exponents), exponents):
        assert torch.equal(tensor, torch.zeros(3))


@pytest.mark.parametrize("name", sorted(RADIAL_BASES))
def test_radial_bases(name: str) -> None:
    basis = RADIAL_BASES[name](32, CUTOFF).float()
    distances = torch.linspace(0.5, CUTOFF, 500, requires_grad=True)
    for k in range(32):
        assert not tiny(*with_derivatives(basis(distances)[:, k], distances))


def test_exponential_cutoff() -> None:
    distances = torch.linspace(0.98 * CUTOFF, CUTOFF, 500, requires_grad=True)
    assert not tiny(*with_derivatives(CUTOFFS["exponential"](distances, CUTOFF), distances))
