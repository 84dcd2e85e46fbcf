from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from ase_geomformer.layers.edge_frame import frame_components
from ase_geomformer.layers.so2 import SO2Linear, by_order, from_orders

LMAX, MMAX = 3, 2
COMPONENTS = frame_components(LMAX, MMAX)


def orders() -> list[int]:
    """Signed order m of every component."""
    degrees = [math.isqrt(component) for component in COMPONENTS]
    return [c - l * l - l for c, l in zip(COMPONENTS, degrees, strict=True)]


def about_the_edge(angle: float) -> Tensor:
    """Matrix (R, R) of a turn about the edge: cos m phi beside +m, sin m phi beside -m."""
    matrix = torch.zeros(len(COMPONENTS), len(COMPONENTS), dtype=torch.float64)
    for row, (component, m) in enumerate(zip(COMPONENTS, orders(), strict=True)):
        partner = COMPONENTS.index(component - 2 * m)
        matrix[row, row] = math.cos(m * angle)
        matrix[row, partner] -= math.sin(m * angle) if m else 0.0
    return matrix


def mirror() -> Tensor:
    """Matrix of the mirror y -> -y, which contains the edge: sines change sign."""
    return torch.diag(torch.tensor([-1.0 if m < 0 else 1.0 for m in orders()]).double())


@pytest.fixture
def features() -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(6, len(COMPONENTS), 4, generator=generator, dtype=torch.float64)


def layer(parity: bool) -> SO2Linear:
    torch.manual_seed(1)
    return SO2Linear(LMAX, MMAX, 4, 5, extra=3, parity=parity).double()


def applied(so2: SO2Linear, features: Tensor) -> tuple[Tensor, Tensor]:
    """The layer's results for all components (E, R, C) in one tensor."""
    values, extra = so2(by_order(features, so2.sizes))
    return from_orders(values), extra


def test_blocks_hold_both_signs_of_an_order(features: Tensor) -> None:
    blocks = by_order(features, layer(True).sizes)
    assert [tuple(block.shape[1:3]) for block in blocks] == [(1, 4), (2, 3), (2, 2)]
    for m, block in enumerate(blocks):
        for sign, part in zip((1, -1), block.unbind(1), strict=False):
            rows = [row for row, order in enumerate(orders()) if order == sign * m]
            torch.testing.assert_close(part, features[:, rows], rtol=0, atol=0)
    torch.testing.assert_close(from_orders(blocks), features, rtol=0, atol=0)


@pytest.mark.parametrize("parity", [True, False])
def test_commutes_with_turns_about_the_edge(features: Tensor, parity: bool) -> None:
    so2, turn = layer(parity), about_the_edge(0.7)
    values, extra = applied(so2, features)
    turned, same = applied(so2, turn @ features)
    assert values.shape == (6, len(COMPONENTS), 5)
    assert extra.shape == (6, 3)
    torch.testing.assert_close(turned, turn @ values, rtol=0, atol=1e-13)
    torch.testing.assert_close(same, extra, rtol=0, atol=1e-13)


def test_only_without_imaginary_parts_it_commutes_with_mirrors(features: Tensor) -> None:
    real, complex_ = layer(True), layer(False)
    torch.testing.assert_close(
        applied(real, mirror() @ features)[0],
        mirror() @ applied(real, features)[0],
        rtol=0,
        atol=1e-13,
    )
    difference = (
        applied(complex_, mirror() @ features)[0] - mirror() @ applied(complex_, features)[0]
    )
    assert difference.abs().max() > 0.1


def test_degrees_of_one_order_mix_and_orders_do_not(features: Tensor) -> None:
    so2, changed = layer(False), features.clone()
    changed[:, orders().index(2)] += 1.0
    moved = (applied(so2, changed)[0] - applied(so2, features)[0]).abs().amax(dim=(0, 2)) > 1e-12
    assert moved.tolist() == [abs(m) == 2 for m in orders()]
