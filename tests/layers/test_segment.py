from __future__ import annotations

import torch

from ase_geomformer.layers.segment import segment_sum


def test_sums_by_index_and_leaves_empty_segments_zero() -> None:
    values = torch.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    sums = segment_sum(values, torch.tensor([2, 0, 2]), 4)
    assert sums.tolist() == [[3.0, 4.0], [0.0, 0.0], [6.0, 8.0], [0.0, 0.0]]


def test_nothing_to_sum() -> None:
    sums = segment_sum(torch.empty(0, 3), torch.empty(0, dtype=torch.int64), 2)
    assert sums.tolist() == [[0.0] * 3] * 2


def test_gradient_of_a_sum_goes_to_its_members() -> None:
    values = torch.ones(3, requires_grad=True)
    sums = segment_sum(values, torch.tensor([1, 1, 0]), 2)
    (10.0 * sums[1]).backward()
    assert values.grad.tolist() == [10.0, 10.0, 0.0]
