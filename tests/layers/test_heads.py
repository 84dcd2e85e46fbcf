from __future__ import annotations

import pytest
import torch

from ase_geomformer.layers.heads import REGISTER, head_spread, head_sum

pytestmark = pytest.mark.quick

WEIGHTS = torch.tensor([[2.0, 3.0], [5.0, 7.0]], dtype=torch.float64)


def test_features_of_a_head_are_summed() -> None:
    values = torch.arange(12, dtype=torch.float64).reshape(2, 6)
    assert head_sum(values, 2).tolist() == [[3.0, 12.0], [21.0, 30.0]]
    assert head_sum(values[:, None], 3).tolist() == [[[1.0, 5.0, 9.0]], [[13.0, 17.0, 21.0]]]


def test_narrow_and_wide_heads_are_summed_alike() -> None:
    values = torch.randn(5, 4 * REGISTER, generator=torch.Generator().manual_seed(0)).double()
    halves = values.unflatten(-1, (8, -1)).sum(dim=-1)
    torch.testing.assert_close(head_sum(values, 8), halves, rtol=0, atol=1e-14)
    wholes = halves.unflatten(-1, (4, 2)).sum(dim=-1)
    torch.testing.assert_close(head_sum(values, 4), wholes, rtol=0, atol=1e-14)


def test_weights_are_copied_to_the_features_of_their_head() -> None:
    assert head_spread(WEIGHTS, 6).tolist() == [[2, 2, 2, 3, 3, 3], [5, 5, 5, 7, 7, 7]]


def test_one_is_the_transpose_of_the_other() -> None:
    values = torch.randn(2, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    left, right = (head_sum(values, 2) * WEIGHTS).sum(), (values * head_spread(WEIGHTS, 6)).sum()
    torch.testing.assert_close(left, right, rtol=1e-14, atol=0)
