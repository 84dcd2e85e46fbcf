from __future__ import annotations

import pytest
import torch
from torch import nn

from ase_geomformer.architectures.geomformer.equivariant import (
    EquivariantMaps,
    EquivariantNorm,
    StackedLinear,
    VectorReadout,
    WhiteningNorm,
    inverse_root,
)

pytestmark = pytest.mark.quick

GENERATOR = torch.Generator().manual_seed(0)
ROTATION = torch.linalg.qr(torch.randn(3, 3, generator=GENERATOR, dtype=torch.float64))[0]


def turned(values: torch.Tensor) -> torch.Tensor:
    """Vectors in the last three of four components, or all three, rotated."""
    return torch.cat([values[:, :-3], ROTATION @ values[:, -3:]], dim=1)


def stream(components: int) -> torch.Tensor:
    return torch.randn(5, components, 8, generator=GENERATOR, dtype=torch.float64)


@pytest.mark.parametrize(
    ("layer", "components"),
    [
        (StackedLinear(8, 6, 3), 4),
        (EquivariantMaps(8, 6, 3, (0, 1)), 4),
        (EquivariantNorm(8), 4),
        (WhiteningNorm(8), 3),
    ],
    ids=["shared", "by degree", "joint norm", "whitening"],
)
def test_layers_commute_with_rotations(layer: nn.Module, components: int) -> None:
    layer, values = layer.double(), stream(components)
    before, after = layer(values), layer(turned(values))
    if isinstance(before, torch.Tensor):
        before, after = (before,), (after,)
    for one, other in zip(before, after, strict=True):
        torch.testing.assert_close(other, turned(one), rtol=0.0, atol=1e-11)


def test_joint_norm_keeps_the_ratio_of_components() -> None:
    values = stream(4)
    normal = EquivariantNorm(8).double()(values)
    torch.testing.assert_close(
        normal.square().sum(dim=(1, 2)), torch.full((5,), 8.0, dtype=torch.float64)
    )
    ratio = normal / values
    torch.testing.assert_close(ratio, ratio[:, :1, :1].expand_as(ratio))


def test_whitening_leaves_unit_covariance() -> None:
    """And no mean; vectors of ordinary size, against which the 1e-5 does not count."""
    normal = WhiteningNorm(8).double()(3.0 * stream(3))
    torch.testing.assert_close(normal.mean(dim=-1), torch.zeros(5, 3, dtype=torch.float64))
    covariance = normal @ normal.mT / 8
    expected = torch.eye(3, dtype=torch.float64).expand(5, 3, 3)
    torch.testing.assert_close(covariance, expected, rtol=0.0, atol=1e-3)


@pytest.mark.parametrize("smallest", [1.0, 1e-4, 1e-8])
def test_inverse_root(smallest: float) -> None:
    """Against eigenvalues known by construction, up to condition numbers of 1e8."""
    values = torch.tensor([1.0, 0.1, smallest], dtype=torch.float64)
    matrix = (ROTATION * values) @ ROTATION.T
    expected = (ROTATION * values.rsqrt()) @ ROTATION.T
    found = inverse_root(matrix[None])[0]
    torch.testing.assert_close(found, expected, rtol=0.0, atol=1e-6 * expected.abs().max().item())


def test_vectors_are_read_in_the_order_x_y_z() -> None:
    """Harmonics of degree one come as (y, z, x)."""
    readout = VectorReadout(8, first=1).double()
    vector = torch.tensor([0.3, -1.2, 2.0], dtype=torch.float64)
    values = torch.zeros(1, 4, 8, dtype=torch.float64)
    values[0, 1:, 0] = vector[[1, 2, 0]]
    found = readout(values)[0] / readout.final.weight[0, 0]
    torch.testing.assert_close(found.detach(), vector)
