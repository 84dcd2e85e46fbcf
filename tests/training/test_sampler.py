from __future__ import annotations

import json
from itertools import islice

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ase_geomformer.training.sampler import BatchSampler

pytestmark = pytest.mark.quick

COSTS = [5, 3, 8, 1, 1, 9, 4, 2, 7, 6, 5, 5, 3]


def epochs(sampler: BatchSampler, count: int) -> list[list[list[int]]]:
    return [list(sampler) for _ in range(count)]


@given(
    costs=st.lists(st.integers(1, 10), min_size=1, max_size=60),
    budget=st.integers(10, 40),
    seed=st.integers(0, 5),
    epoch=st.integers(0, 3),
)
def test_every_frame_once_within_the_budget(
    costs: list[int], budget: int, seed: int, epoch: int
) -> None:
    batches = BatchSampler(costs, budget, seed=seed).batches(epoch)
    assert sorted(index for batch in batches for index in batch) == list(range(len(costs)))
    spent = [sum(costs[index] for index in batch) for batch in batches]
    assert max(spent) <= budget
    # No batch was closed while the next frame still fitted in.
    for total, following in zip(spent, batches[1:], strict=False):
        assert total + costs[following[0]] > budget


def test_frames_mode_makes_equal_batches() -> None:
    batches = BatchSampler([1] * 23, 5).batches(0)
    assert [len(batch) for batch in batches] == [5, 5, 5, 5, 3]
    dropped = BatchSampler([1] * 23, 5, drop_last=True).batches(0)
    assert dropped == batches[:4]
    even = BatchSampler([1] * 20, 5, drop_last=True).batches(0)
    assert [len(batch) for batch in even] == [5, 5, 5, 5]


def test_order_follows_from_seed_and_epoch_alone() -> None:
    torch.manual_seed(0)
    first = epochs(BatchSampler(COSTS, 12, seed=3), 3)
    torch.manual_seed(1)
    np.random.default_rng(0).random()
    sampler = BatchSampler(COSTS, 12, seed=3)
    assert epochs(sampler, 3) == first
    assert [sampler.batches(epoch) for epoch in range(3)] == first
    assert first[0] != first[1]
    assert epochs(BatchSampler(COSTS, 12, seed=4), 1)[0] != first[0]


def test_unshuffled_frames_come_as_they_stand() -> None:
    first, second = epochs(BatchSampler(COSTS, 12, shuffle=False), 2)
    assert [index for batch in first for index in batch] == list(range(len(COSTS)))
    assert first == second


@pytest.mark.parametrize("drawn", range(14))
def test_a_killed_run_goes_on_with_the_next_batch(drawn: int) -> None:
    def stream(sampler: BatchSampler):  # type: ignore[no-untyped-def]
        while True:
            yield from sampler

    whole = list(islice(stream(BatchSampler(COSTS, 15, seed=2)), 20))
    killed = BatchSampler(COSTS, 15, seed=2)
    begun = list(islice(stream(killed), drawn))
    state = json.loads(json.dumps(killed.state_dict()))
    resumed = BatchSampler(COSTS, 15, seed=2)
    resumed.load_state_dict(state)
    assert begun + list(islice(stream(resumed), 20 - drawn)) == whole


def test_a_loader_that_draws_ahead_can_say_what_was_trained_on() -> None:
    sampler = BatchSampler(COSTS, 15)
    expected = sampler.batches(0)
    list(islice(sampler, 3))
    resumed = BatchSampler(COSTS, 15)
    resumed.load_state_dict(sampler.state_dict(trained=1))
    assert list(resumed) == expected[1:]


def test_an_iterator_left_at_the_end_does_not_repeat_the_epoch() -> None:
    sampler = BatchSampler(COSTS, 15)
    first = list(islice(sampler, len(sampler)))
    assert first == sampler.batches(0)
    assert list(sampler) == sampler.batches(1)


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"budget": 16}, "budget"),
        ({"seed": 1}, "seed"),
        ({"costs": COSTS[1:]}, "frames"),
        ({"costs": [*COSTS[1:], 4]}, "cost"),
        ({"shuffle": False}, "shuffle"),
        ({"world_size": 2}, "world_size"),
    ],
)
def test_resuming_with_other_data_or_settings(change: dict[str, object], name: str) -> None:
    state = BatchSampler(COSTS, 15).state_dict()
    other = BatchSampler(**{"costs": COSTS, "budget": 15, **change})  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=f"cannot resume: {name} was"):
        other.load_state_dict(state)


@pytest.mark.parametrize("drop_last", [False, True])
@pytest.mark.parametrize(("frames", "world"), [(23, 2), (23, 3), (7, 3), (24, 2)])
def test_ranks_share_an_epoch(frames: int, world: int, drop_last: bool) -> None:
    alone = BatchSampler([1] * frames, 2, drop_last=drop_last).batches(0)
    shares = [
        BatchSampler([1] * frames, 2, drop_last=drop_last, rank=rank, world_size=world).batches(0)
        for rank in range(world)
    ]
    assert len({len(share) for share in shares}) == 1
    dealt = [batch for step in zip(*shares, strict=True) for batch in step]
    if drop_last:
        assert dealt == alone[: len(alone) // world * world]
    else:
        assert dealt[: len(alone)] == alone
        assert all(batch in alone for batch in dealt)
        assert len(dealt) - len(alone) < world


def test_ranks_together_see_the_batches_of_one_process() -> None:
    one = BatchSampler([1] * 24, 6, seed=9)
    two = [BatchSampler([1] * 24, 3, seed=9, rank=rank, world_size=2) for rank in (0, 1)]
    for whole, left, right in zip(one, *two, strict=True):
        assert whole == left + right


def test_more_processes_than_batches() -> None:
    shares = [BatchSampler([1] * 2, 1, rank=rank, world_size=5).batches(0) for rank in range(5)]
    assert [len(share) for share in shares] == [1] * 5


SIZES = [*([2] * 40), *([30] * 41), *([11] * 39), *range(12, 32)]


def test_balanced_batches_are_nearly_equal_in_size() -> None:
    frames, sizes = len(SIZES), np.array(SIZES)
    plain = BatchSampler([1] * frames, 7)
    balanced = BatchSampler([1] * frames, 7, sizes=SIZES)
    spreads = []
    for sampler in (plain, balanced):
        batches = sampler.batches(3)
        assert sorted(index for batch in batches for index in batch) == list(range(frames))
        assert [len(batch) for batch in batches] == [7] * (frames // 7)
        spreads.append(np.std([sizes[batch].sum() for batch in batches]))
    assert spreads[1] < 0.3 * spreads[0]


def test_balanced_batches_are_drawn_anew_in_every_epoch() -> None:
    sampler = BatchSampler([1] * len(SIZES), 7, sizes=SIZES, seed=3)
    first, second = sampler.batches(0), sampler.batches(1)
    assert first != second
    assert first == BatchSampler([1] * len(SIZES), 7, sizes=SIZES, seed=3).batches(0)
    # Frames do not keep their company, nor batches the order of sizes.
    assert not {frozenset(batch) for batch in first} & {frozenset(batch) for batch in second}
    assert len({min(batch) for batch in first}) > len(first) // 2


@pytest.mark.parametrize("world", [2, 3])
def test_balanced_batches_do_not_depend_on_the_number_of_processes(world: int) -> None:
    alone = BatchSampler([1] * len(SIZES), 6, sizes=SIZES, drop_last=True)
    shares = [
        BatchSampler([1] * len(SIZES), 6 // world, sizes=SIZES, drop_last=True, **where)
        for where in ({"rank": rank, "world_size": world} for rank in range(world))
    ]
    sizes = np.array(SIZES)
    for whole, *parts in zip(alone, *shares, strict=True):
        assert sorted(whole) == sorted(index for part in parts for index in part)
        assert max(sizes[part].sum() for part in parts) < 0.75 * sizes[whole].sum()


def test_only_frames_that_cost_one_are_balanced() -> None:
    with pytest.raises(ValueError, match="balanced only where every frame costs one"):
        BatchSampler(COSTS, 12, sizes=COSTS)


def test_what_cannot_be_batched() -> None:
    with pytest.raises(ValueError, match="frame 2 alone costs 30, more than the budget of 20"):
        BatchSampler([1, 2, 30], 20)
    with pytest.raises(ValueError, match="no frames"):
        BatchSampler([], 20)
    with pytest.raises(ValueError, match="drop_last leaves no batch of 20"):
        BatchSampler([1, 1], 20, drop_last=True)
    with pytest.raises(ValueError, match="rank 2 is not below the number of processes, 2"):
        BatchSampler([1, 1], 1, rank=2, world_size=2)
