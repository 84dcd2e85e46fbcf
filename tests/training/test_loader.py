from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase import Atoms
from hypothesis import given
from hypothesis import strategies as st

from ase_geomformer.data.frames import Frame
from ase_geomformer.training.dataset import GraphDataset
from ase_geomformer.training.loader import TrainingData, largest_sum, padded_size
from ase_geomformer.training.sampler import BatchSampler, frame_costs
from ase_geomformer.training.settings import BatchSettings

BUDGETS = {"frames": 6, "atoms": 60, "edges": 600}


@pytest.fixture(scope="module")
def dataset() -> GraphDataset:
    """Clusters of 1 to 14 atoms of very different density; some have no edge at all."""
    rng = np.random.default_rng(0)
    frames = []
    for size in rng.integers(1, 15, 60).tolist():
        width = rng.uniform(1.0, 9.0)
        frames.append(Frame(Atoms(f"H{size}", positions=rng.uniform(0, width, (size, 3)))))
    return GraphDataset(frames, 4.0)


@pytest.mark.parametrize("measure", BUDGETS)
@pytest.mark.parametrize("world_size", [1, 2, 3])
def test_no_batch_exceeds_the_padded_size(
    dataset: GraphDataset, measure: Any, world_size: int
) -> None:
    settings = BatchSettings(size=BUDGETS[measure], measure=measure)
    size = padded_size(dataset, settings, world_size)
    num_atoms, num_edges = size["num_atoms"], size["num_edges"]
    assert size["num_far_pairs"] == 0
    sampler = BatchSampler(frame_costs(dataset, measure), settings.per_process(world_size), seed=3)
    largest = np.zeros(2, int)
    for epoch in range(200):
        for batch in sampler.batches(epoch):
            sizes = [dataset.num_atoms[batch].sum(), dataset.num_edges[batch].sum()]
            largest = np.maximum(largest, sizes)
    assert largest[0] + 1 <= num_atoms  # room for a ghost
    assert largest[1] <= num_edges
    # Not so generous either that most of the work would be on ghosts.
    assert num_atoms < 3 * largest[0] + 9
    assert num_edges < 3 * largest[1] + 32


@pytest.mark.parametrize("world_size", [1, 2, 3])
def test_balanced_batches_need_less_filling_up(dataset: GraphDataset, world_size: int) -> None:
    settings = BatchSettings(size=6, balanced=True)
    size = padded_size(dataset, settings, world_size)
    plain = padded_size(dataset, BatchSettings(size=6), world_size)
    assert size["num_edges"] < 0.8 * plain["num_edges"]
    shares = [
        TrainingData(dataset, None, settings, seed=3, rank=rank, world_size=world_size)
        for rank in range(world_size)
    ]
    for order in (share.train_loader.order for share in shares):
        for batch in (batch for epoch in range(200) for batch in order.batches(epoch)):
            assert dataset.num_atoms[batch].sum() + 1 <= size["num_atoms"]
            assert dataset.num_edges[batch].sum() <= size["num_edges"]


@given(
    frames=st.lists(st.tuples(st.integers(0, 20), st.integers(0, 9)), min_size=1, max_size=9),
    budget=st.integers(9, 30),
)
def test_bound_holds_for_every_subset(frames: list[tuple[int, int]], budget: int) -> None:
    sizes, costs = zip(*frames, strict=True)
    best = max(
        sum(size for size, _ in subset)
        for count in range(len(frames) + 1)
        for subset in itertools.combinations(frames, count)
        if sum(cost for _, cost in subset) <= budget
    )
    assert largest_sum(sizes, costs, budget) >= best


def test_bound_is_exact_for_equal_costs() -> None:
    assert largest_sum([3, 9, 1, 7], [1, 1, 1, 1], 2) == 16


def test_processes_share_the_batches_of_one(dataset: GraphDataset) -> None:
    settings = BatchSettings(size=6)
    whole = TrainingData(dataset, None, settings, seed=1)
    parts = [TrainingData(dataset, None, settings, seed=1, rank=r, world_size=2) for r in (0, 1)]
    for mine, first, second in zip(
        whole.train_loader.order, *(part.train_loader.order for part in parts), strict=True
    ):
        assert sorted(mine) == sorted([*first, *second])


def test_uneven_shares_are_refused() -> None:
    with pytest.raises(ValueError, match="size 10 cannot be shared equally by 4 processes"):
        BatchSettings(size=10).per_process(4)


def test_only_batches_of_frames_are_balanced() -> None:
    with pytest.raises(ValueError, match="batches of edges cannot be balanced"):
        BatchSettings(size=100, measure="edges", balanced=True)


def test_loader_goes_on_where_its_state_was_taken(dataset: GraphDataset) -> None:
    def loader() -> Any:
        return TrainingData(dataset, None, BatchSettings(size=8), seed=5).train_loader

    whole = loader()
    first_epoch = [whole.present.copy() for _ in whole]
    resumed = loader()
    stream = iter(resumed)
    for _ in range(3):
        next(stream)
    state = resumed.state_dict()
    other = loader()
    other.load_state_dict(state)
    assert [other.present.copy() for _ in other] == first_epoch[3:]
    assert other.present_frames == [dataset.frames[index] for index in first_epoch[-1]]


def test_the_last_batch_is_dropped_only_where_there_is_another(tmp_path: Path) -> None:
    frames = [Frame(Atoms("H")) for _ in range(7)]
    dataset = GraphDataset(frames, 4.0)
    assert [
        len(b) for b in TrainingData(dataset, None, BatchSettings(5), seed=0).train_loader.order
    ] == [5]
    assert [
        len(b) for b in TrainingData(dataset, None, BatchSettings(9), seed=0).train_loader.order
    ] == [7]


def test_validation_sees_every_frame_once(dataset: GraphDataset) -> None:
    data = TrainingData(dataset, dataset, BatchSettings(size=6, validation_size=7), seed=0)
    assert data.validation_loader is not None
    seen = [index for batch in data.validation_loader.order for index in batch]
    assert seen == list(range(len(dataset)))
