"""Batches for Lightning: loaders that remember where they are, and how large batches can get."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import lightning
import numpy as np

from ase_geomformer.training.batch import LabelledGraph
from ase_geomformer.training.dataset import GraphDataset
from ase_geomformer.training.frames import Frame
from ase_geomformer.training.sampler import BatchSampler, frame_costs
from ase_geomformer.training.settings import BatchSettings


class GraphLoader:
    """Batches of a data set in the order of a sampler; Lightning saves and restores its place."""

    def __init__(self, dataset: GraphDataset, order: BatchSampler) -> None:
        self.dataset, self.order = dataset, order
        self.present: list[int] = []

    def __len__(self) -> int:
        return len(self.order)

    def __iter__(self) -> Iterator[LabelledGraph]:
        for indices in self.order:
            self.present = indices
            yield self.dataset.batch(indices)

    def state_dict(self) -> dict[str, Any]:
        return self.order.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.order.load_state_dict(state)

    @property
    def present_frames(self) -> list[Frame]:
        """The frames of the batch given out last."""
        return [self.dataset.frames[index] for index in self.present]


class TrainingData(lightning.LightningDataModule):
    """Training and validation sets, each process's share of the batches."""

    def __init__(
        self,
        train: GraphDataset,
        validation: GraphDataset | None,
        settings: BatchSettings,
        seed: int,
    ) -> None:
        super().__init__()
        self.train, self.validation = train, validation
        self.settings, self.seed = settings, seed
        self.train_loader: GraphLoader | None = None

    def train_dataloader(self) -> GraphLoader:
        assert self.trainer is not None
        sampler = BatchSampler(
            frame_costs(self.train, self.settings.measure),
            process_budget(self.settings.size, self.trainer.world_size),
            seed=self.seed,
            drop_last=len(self.train) > self.settings.size,
            rank=self.trainer.global_rank,
            world_size=self.trainer.world_size,
        )
        self.train_loader = GraphLoader(self.train, sampler)
        return self.train_loader

    def val_dataloader(self) -> GraphLoader | list[LabelledGraph]:
        if self.validation is None:
            return []
        # Every process validates on everything: no frame counts twice to make shares equal.
        sampler = BatchSampler(
            frame_costs(self.validation, self.settings.measure),
            self.settings.validation_size,
            shuffle=False,
        )
        return GraphLoader(self.validation, sampler)


def process_budget(size: int, world_size: int) -> int:
    """One process's part of the batch size.

    Raises
    ------
    ValueError
        If it cannot be divided evenly.
    """
    if size % world_size:
        raise ValueError(
            f"a batch size of {size} cannot be shared equally by {world_size} processes; "
            f"choose a multiple of {world_size}"
        )
    return size // world_size


def padded_size(dataset: GraphDataset, settings: BatchSettings, world_size: int) -> tuple[int, int]:
    """Atoms and edges that no batch exceeds, rounded up, with room for a ghost atom."""
    budget = process_budget(settings.size, world_size)
    costs = frame_costs(dataset, settings.measure)
    atoms = largest_sum(dataset.num_atoms.tolist(), costs, budget)
    edges = largest_sum(dataset.num_edges.tolist(), costs, budget)
    return _round_up(atoms + 1, 8), _round_up(edges, 32)


def largest_sum(sizes: Sequence[int], costs: Sequence[int], budget: int) -> int:
    """Upper bound of the summed sizes of frames whose costs stay within a budget.

    The bound of the fractional knapsack problem: frames in the order of size per cost, the last
    one in part. It is exact when all costs are equal.
    """
    size, cost = np.asarray(sizes, float), np.asarray(costs, float)
    order = np.argsort(-size / np.maximum(cost, 1e-9))
    spent = np.minimum(np.cumsum(cost[order]), budget)
    used = np.diff(spent, prepend=0.0)
    return int(np.ceil((size[order] * used / np.maximum(cost[order], 1e-9)).sum() - 1e-9))


def _round_up(value: int, multiple: int) -> int:
    return -(-value // multiple) * multiple
