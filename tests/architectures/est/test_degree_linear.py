from __future__ import annotations

import pytest
import torch
from e3nn.o3 import Irreps
from scipy.spatial.transform import Rotation
from torch import Tensor, nn

from ase_geomformer.architectures.est.degree_linear import (
    DegreeInvariants,
    DegreeLinear,
    SteerableNorm,
)

pytestmark = pytest.mark.quick

LMAX, CHANNELS = 3, 5


def random(module: nn.Module) -> nn.Module:
    """In float64, with every weight off its initial value."""
    torch.manual_seed(0)
    module = module.double()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter += 0.5 * torch.randn_like(parameter)
    return module


def features(seed: int = 1) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    shape = (7, (LMAX + 1) ** 2, CHANNELS)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


@pytest.fixture
def turn() -> Tensor:
    """Components of a turned function, in e3nn's convention."""
    matrix = torch.from_numpy(Rotation.from_rotvec([0.4, -1.3, 0.9]).as_matrix())
    return Irreps.spherical_harmonics(LMAX).D_from_matrix(matrix)


def turned(turn: Tensor, values: Tensor) -> Tensor:
    return torch.einsum("ab,nbc->nac", turn, values)


@pytest.mark.parametrize(
    "layer",
    [DegreeLinear(LMAX, CHANNELS, 4), SteerableNorm(LMAX, CHANNELS)],
    ids=lambda layer: type(layer).__name__,
)
def test_commutes_with_rotations(layer: nn.Module, turn: Tensor) -> None:
    layer = random(layer)
    torch.testing.assert_close(
        layer(turned(turn, features())), turned(turn, layer(features())), rtol=0, atol=1e-12
    )


def test_one_matrix_per_degree_and_a_bias_on_scalars() -> None:
    layer = random(DegreeLinear(LMAX, CHANNELS, 4))
    values = layer(features())
    for degree in range(LMAX + 1):
        block = slice(degree**2, (degree + 1) ** 2)
        expected = features()[:, block] @ layer.weight[degree]
        torch.testing.assert_close(
            values[:, block], expected + layer.bias if degree == 0 else expected
        )
    assert not DegreeLinear(LMAX, CHANNELS, 4, bias=False)(features().float() * 0).any()


def test_norm_brings_the_mean_square_to_one() -> None:
    """Each degree counts alike; the size of the input is forgotten, that of an atom of zeros not
    invented.
    """
    layer = SteerableNorm(LMAX, CHANNELS).double()
    values = layer(1000.0 * features())
    squares = [values[:, l * l : (l + 1) ** 2].square().mean(dim=(1, 2)) for l in range(LMAX + 1)]
    torch.testing.assert_close(torch.stack(squares).mean(dim=0), torch.ones(7).double())
    assert not layer(0.0 * features()).any()


def test_norm_does_not_amplify_what_symmetry_cancels() -> None:
    """Beside ordinary scalars, vectors of 1e-8 stay that small."""
    values = features()
    values[:, 1:] *= 1e-8
    assert SteerableNorm(LMAX, CHANNELS).double()(values)[:, 1:].abs().max() < 3e-7


def test_invariants(turn: Tensor) -> None:
    """Scalar products of each degree, and the scalars themselves."""
    first, second = features(1), features(2)
    layer = DegreeInvariants(LMAX).double()
    values = layer(first, second)
    torch.testing.assert_close(
        layer(turned(turn, first), turned(turn, second)), values, rtol=0, atol=1e-12
    )
    torch.testing.assert_close(values[:, :CHANNELS], first[:, 0])
    expected = (first * second)[:, 4:9].sum(dim=1) / 5**0.5
    torch.testing.assert_close(values[:, 2 * CHANNELS : 3 * CHANNELS], expected)


def test_scalars_alone() -> None:
    values = torch.ones(2, 1, CHANNELS)
    torch.testing.assert_close(DegreeInvariants(0)(values, values), values[:, 0])
