from __future__ import annotations

import pytest
import torch

from ase_geomformer.architectures.geomformer.masked_softmax import Heads, attend, bounded
from ase_geomformer.graph.segments import Segments
from ase_geomformer.layers.edges import Edges

pytestmark = pytest.mark.quick

ATOMS, HEADS = 4, Heads((1, 4), num_heads=2, num_features=6)


def edges_between_all(envelope: torch.Tensor) -> Edges:
    """Every atom's edges to every other one."""
    ends = [Segments(end, ATOMS) for end in torch.nonzero(1 - torch.eye(ATOMS), as_tuple=True)]
    empty = torch.zeros(len(envelope), 0)
    return Edges(*ends, radial=empty, envelope=envelope, harmonics=empty)


@pytest.fixture
def rows() -> tuple[torch.Tensor, ...]:
    generator = torch.Generator().manual_seed(0)
    return tuple(
        torch.randn(ATOMS, HEADS.width, generator=generator, dtype=torch.float64) for _ in range(3)
    )


def run(rows: tuple[torch.Tensor, ...], envelope: torch.Tensor, bound: float) -> torch.Tensor:
    ones, zeros = torch.ones(1, 4, dtype=torch.float64), torch.zeros(4, dtype=torch.float64)
    return attend(
        *rows, HEADS, edges_between_all(envelope), edge_factor=ones, self_bias=zeros, bound=bound
    )


def test_is_the_softmax_over_all_atoms_where_nothing_is_masked(
    rows: tuple[torch.Tensor, ...],
) -> None:
    """With logits far below their bound, scaled by the roots of 3 and 3 * 3 as published."""
    query, key, value = rows
    found = run(rows, torch.ones(12, dtype=torch.float64), 1e6)
    for components, first, scale in ((1, 0, 3**-0.5), (4, 6, 9**-0.5)):
        columns = slice(first, first + 6 * components)
        q, k, v = (
            part[:, columns].reshape(ATOMS, components, 2, 3) for part in (query, key, value)
        )
        weights = torch.softmax(scale * torch.einsum("ichf,jchf->hij", q, k), dim=-1)
        expected = torch.einsum("hij,jchf->ichf", weights, v).reshape(ATOMS, -1)
        torch.testing.assert_close(found[:, columns], expected)


def test_masked_neighbours_are_as_if_not_listed(rows: tuple[torch.Tensor, ...]) -> None:
    alone = run(rows, torch.zeros(12, dtype=torch.float64), 8.0)
    torch.testing.assert_close(alone, rows[2])


def test_messages_vanish_quadratically(rows: tuple[torch.Tensor, ...]) -> None:
    """Values from a fading neighbour fall like m^2, its share of the denominator like m."""
    query, key, value = rows
    shares = []
    for mask in (1e-3, 1e-4):
        envelope = torch.full((12,), mask, dtype=torch.float64, requires_grad=True)
        value = rows[2].detach().requires_grad_()
        found = run((query, key, value), envelope, 8.0)
        (slope,) = torch.autograd.grad(found[0].sum(), value)
        shares.append((slope[1:].abs().sum() / slope[0].abs().sum()).item())
    assert shares[0] / shares[1] == pytest.approx(100.0, rel=0.02)


def test_bound_leaves_small_logits_alone() -> None:
    logits = torch.tensor([-1e9, -0.1, 0.0, 0.1, 1e9], dtype=torch.float64)
    found = bounded(logits, 8.0)
    torch.testing.assert_close(found[[0, -1]], torch.tensor([-8.0, 8.0], dtype=torch.float64))
    torch.testing.assert_close(found[1:-1], logits[1:-1], rtol=1e-4, atol=0.0)
