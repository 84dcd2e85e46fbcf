"""Data loaders for Lightning that can be saved and restored, and bounds of batch sizes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import lightning
import numpy as np
from torch import Tensor

from ase_geomformer.data.frames import Frame
from ase_geomformer.training.batch import LabelledGraph
from ase_geomformer.training.dataset import GraphDataset
from ase_geomformer.training.sampler import BatchSampler, frame_costs, size_classes
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
        """The frames of the latest batch."""
        return [self.dataset.frames[index] for index in self.present]


class TrainingData(lightning.LightningDataModule):
    """Training and validation sets, and this process's share of their batches.

    Parameters
    ----------
    train, validation : GraphDataset
    settings : BatchSettings
    seed : int
        Of the order of the batches.
    rank, world_size : int
        This process, and how many train together.
    """

    def __init__(
        self,
        train: GraphDataset,
        validation: GraphDataset | None,
        settings: BatchSettings,
        *,
        seed: int,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        super().__init__()
        costs = frame_costs(train, settings.measure)
        order = BatchSampler(
            costs,
            settings.per_process(world_size),
            seed=seed,
            drop_last=sum(costs) > settings.size,
            sizes=train.num_edges.tolist() if settings.balanced else None,
            rank=rank,
            world_size=world_size,
        )
        self.train_loader = GraphLoader(train, order)
        self.validation_loader = None
        if validation is not None:
            # Every process validates on everything: no frame counts twice to make shares equal.
            costs = frame_costs(validation, settings.measure)
            order = BatchSampler(costs, settings.validation_size, shuffle=False)
            self.validation_loader = GraphLoader(validation, order)

    def train_dataloader(self) -> GraphLoader:
        return self.train_loader

    def val_dataloader(self) -> GraphLoader | list[LabelledGraph]:
        return self.validation_loader or []


def padded_size(dataset: GraphDataset, settings: BatchSettings, world_size: int) -> dict[str, int]:
    """Numbers of atoms, edges and far pairs that no batch exceeds, with room for a ghost atom."""
    budget = settings.per_process(world_size)
    costs = frame_costs(dataset, settings.measure)

    def largest(counts: Tensor) -> int:
        if settings.balanced and len(dataset) > settings.size:
            return largest_balanced(
                counts.numpy(), dataset.num_edges.numpy(), settings.size, world_size
            )
        return largest_sum(counts.tolist(), costs, budget)

    return {
        "num_atoms": _round_up(largest(dataset.num_atoms) + 1, 8),
        "num_edges": _round_up(largest(dataset.num_edges), 32),
        "num_far_pairs": _round_up(largest(dataset.num_far_pairs), 32),
    }


def largest_sum(sizes: Sequence[int], costs: Sequence[int], budget: int) -> int:
    """Upper bound of the summed sizes of frames whose costs stay within a budget.

    The bound of the fractional knapsack problem: frames in the order of size per cost, the last
    one in part. It is exact when all costs are equal. What costs nothing always fits.
    """
    size, cost = np.asarray(sizes, float), np.asarray(costs, float)
    free = cost == 0.0
    density = size[~free] / cost[~free]
    order = np.argsort(-density)
    spent = np.minimum(np.cumsum(cost[~free][order]), budget)
    used = np.diff(spent, prepend=0.0)
    return int(np.ceil(size[free].sum() + (density[order] * used).sum() - 1e-9))


def largest_balanced(counts: np.ndarray, sizes: np.ndarray, number: int, world_size: int) -> int:
    """Upper bound of the summed counts of a balanced batch.

    Frames of one size may fall to either of two classes: each class counts with all of them.
    """
    classes = (sizes[one] for one in size_classes(np.arange(len(sizes)), sizes, number))
    most = [counts[(sizes >= one[0]) & (sizes <= one[-1])].max() for one in classes]
    return max(int(sum(most[rank::world_size])) for rank in range(world_size))


def _round_up(value: int, multiple: int) -> int:
    return -(-value // multiple) * multiple
