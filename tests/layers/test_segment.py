from __future__ import annotations

import torch

from ase_geomformer.layers.segment import gather, segment_sum


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


def test_every_member_gets_the_row_of_its_group() -> None:
    values = torch.arange(6.0).reshape(3, 2)
    rows = gather(values, torch.tensor([2, 0, 2]))
    assert rows.tolist() == [[4.0, 5.0], [0.0, 1.0], [4.0, 5.0]]


def test_the_gradient_of_gathering_repeats_to_the_bit() -> None:
    """With more than one thread, too."""
    generator = torch.Generator().manual_seed(0)
    index = torch.randint(64, (20_000,), generator=generator)
    weights = torch.randn(20_000, 64, generator=generator)
    values = torch.zeros(64, 64, requires_grad=True)

    def gradient() -> torch.Tensor:
        (found,) = torch.autograd.grad((gather(values, index) * weights).sum(), values)
        return found

    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        first = gradient()
        assert all(torch.equal(gradient(), first) for _ in range(5))
    finally:
        torch.set_num_threads(threads)
    torch.testing.assert_close(first, segment_sum(weights, index, 64))
