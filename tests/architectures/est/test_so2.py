from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from ase_geomformer.architectures.est.edge_frame import from_frames, signed_orders, to_frames
from ase_geomformer.architectures.est.so2 import SO2Linear

pytestmark = pytest.mark.quick

LMAX, MMAX = 3, 2
COMPONENTS = [(l, m) for l in range(LMAX + 1) for m in range(-l, l + 1)]
NUMBER = 6


def about_the_edge(angle: float) -> Tensor:
    """Matrix of a turn about the edge: cos m phi beside +m, sin m phi beside -m."""
    matrix = torch.zeros(len(COMPONENTS), len(COMPONENTS), dtype=torch.float64)
    for row, (l, m) in enumerate(COMPONENTS):
        matrix[row, row] = math.cos(m * angle)
        matrix[row, COMPONENTS.index((l, -m))] -= math.sin(m * angle) if m else 0.0
    return matrix


def mirror() -> Tensor:
    """Matrix of the mirror y -> -y, which contains the edge: sines change sign."""
    return torch.diag(torch.tensor([-1.0 if m < 0 else 1.0 for _, m in COMPONENTS]).double())


@pytest.fixture
def features() -> Tensor:
    """Features in the frames of their edges, without the orders above MMAX."""
    generator = torch.Generator().manual_seed(0)
    size = (NUMBER, len(COMPONENTS), 4)
    values = torch.randn(size, generator=generator, dtype=torch.float64)
    return values * torch.tensor([abs(m) <= MMAX for _, m in COMPONENTS])[:, None]


@pytest.fixture
def frames() -> list[Tensor]:
    """Matrices that sort components by order, and turn nothing."""
    rows = [[l + m for m in signed_orders(min(l, MMAX))] for l in range(1, LMAX + 1)]
    units = [torch.eye(2 * l + 1).double()[kept] for l, kept in enumerate(rows, start=1)]
    return [unit.expand(NUMBER, -1, -1) for unit in units]


def layer(parity: bool) -> SO2Linear:
    torch.manual_seed(1)
    return SO2Linear(LMAX, MMAX, 4, 5, extra=3, parity=parity).double()


def applied(so2: SO2Linear, features: Tensor, frames: list[Tensor]) -> tuple[Tensor, Tensor]:
    """The layer's results for all components in one tensor."""
    values, extra = so2(to_frames(features, frames))
    return from_frames(values, frames), extra


def test_blocks_hold_both_signs_of_an_order(features: Tensor, frames: list[Tensor]) -> None:
    blocks = to_frames(features, frames)
    assert [tuple(block.shape[1:3]) for block in blocks] == [(1, 4), (2, 3), (2, 2)]
    for m, block in enumerate(blocks):
        for sign, part in zip((1, -1), block.unbind(1), strict=False):
            rows = [row for row, (_, order) in enumerate(COMPONENTS) if order == sign * m]
            torch.testing.assert_close(part, features[:, rows], rtol=0, atol=0)
    torch.testing.assert_close(from_frames(blocks, frames), features, rtol=0, atol=0)


@pytest.mark.parametrize("parity", [True, False])
def test_commutes_with_turns_about_the_edge(
    features: Tensor, frames: list[Tensor], parity: bool
) -> None:
    so2, turn = layer(parity), about_the_edge(0.7)
    values, extra = applied(so2, features, frames)
    turned, same = applied(so2, turn @ features, frames)
    assert values.shape == (NUMBER, len(COMPONENTS), 5)
    assert extra.shape == (NUMBER, 3)
    torch.testing.assert_close(turned, turn @ values, rtol=0, atol=1e-13)
    torch.testing.assert_close(same, extra, rtol=0, atol=1e-13)


def test_only_without_imaginary_parts_it_commutes_with_mirrors(
    features: Tensor, frames: list[Tensor]
) -> None:
    def asymmetry(so2: SO2Linear) -> Tensor:
        mirrored, _ = applied(so2, mirror() @ features, frames)
        return (mirrored - mirror() @ applied(so2, features, frames)[0]).abs().max()

    assert asymmetry(layer(True)) < 1e-13
    assert asymmetry(layer(False)) > 0.1


def test_degrees_of_one_order_mix_and_orders_do_not(features: Tensor, frames: list[Tensor]) -> None:
    so2, changed = layer(False), features.clone()
    changed[:, COMPONENTS.index((2, 2))] += 1.0
    difference = applied(so2, changed, frames)[0] - applied(so2, features, frames)[0]
    moved = difference.abs().amax(dim=(0, 2)) > 1e-12
    assert moved.tolist() == [abs(m) == 2 for _, m in COMPONENTS]
