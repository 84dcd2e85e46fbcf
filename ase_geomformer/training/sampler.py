"""Composition and order of batches, reproducible after a restart."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Literal

import numpy as np
from torch.utils.data import Sampler

from ase_geomformer.training.dataset import GraphDataset

Measure = Literal["frames", "atoms", "edges"]


class BatchSampler(Sampler[list[int]]):
    """Batches of frame indices up to a maximum size.

    The order of an epoch follows from ``seed`` and the number of the epoch alone: never from
    global random states, the number of workers or what has been drawn before.

    Parameters
    ----------
    costs : sequence of int
        What each frame takes of the budget, see :func:`frame_costs`.
    budget : int
        Most that a batch may cost.
    shuffle : bool
        Draw a new order for every epoch; otherwise frames come as they stand.
    seed : int
    drop_last : bool
        Leave out the last batch of an epoch unless it was closed because the budget was reached.
    sizes : sequence of int, optional
        Sizes of the frames, each of which has to cost one: every batch then has small and large
        frames alike, see :func:`balanced_order`.
    rank, world_size : int
        This process and the number of processes that share the batches. Each takes every
        ``world_size``-th batch and all take equally many: missing ones are filled with the first
        of the epoch again, or with ``drop_last`` surplus ones are left out. (Evaluation should
        therefore not be shared by ranks, or be shared knowing that.)

    Raises
    ------
    ValueError
        If a frame alone exceeds the budget, no batch would be left, or there are sizes of frames
        that cost more than one.
    """

    def __init__(
        self,
        costs: Sequence[int],
        budget: int,
        *,
        shuffle: bool = True,
        seed: int = 0,
        drop_last: bool = False,
        sizes: Sequence[int] | None = None,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        if not 0 <= rank < world_size:
            raise ValueError(f"rank {rank} is not below the number of processes, {world_size}")
        self.costs = np.asarray(costs, dtype=np.int64)
        if self.costs.size == 0:
            raise ValueError("no frames to make batches of")
        if self.costs.max() > budget:
            worst = int(self.costs.argmax())
            raise ValueError(
                f"frame {worst} alone costs {self.costs[worst]}, more than the budget of {budget}; "
                "raise the budget"
            )
        if sizes is not None and (self.costs != 1).any():
            raise ValueError("batches can be balanced only where every frame costs one")
        self.sizes = None if sizes is None else np.asarray(sizes, dtype=np.int64)
        self.budget, self.shuffle, self.seed, self.drop_last = budget, shuffle, seed, drop_last
        self.rank, self.world_size = rank, world_size
        self.epoch = 0
        self.position = 0
        if not self.batches(0):
            raise ValueError(f"drop_last leaves no batch of {budget} for {world_size} process(es)")

    def batches(self, epoch: int) -> list[list[int]]:
        """All batches of this process in an epoch."""
        order = np.arange(self.costs.size)
        if self.shuffle:
            order = np.random.default_rng([self.seed, epoch]).permutation(order)
        if self.sizes is not None:
            order = balanced_order(order, self.sizes, self.budget, self.world_size)
        everyone = fill(order, self.costs, self.budget, self.drop_last)
        surplus = len(everyone) % self.world_size
        if surplus and self.drop_last:
            everyone = everyone[:-surplus]
        elif surplus:
            missing = self.world_size - surplus
            everyone += [everyone[index % len(everyone)] for index in range(missing)]
        return everyone[self.rank :: self.world_size]

    def __len__(self) -> int:
        """Number of batches of the current epoch; epochs may differ in it."""
        return len(self.batches(self.epoch))

    def __iter__(self) -> Iterator[list[int]]:
        """Yield the rest of the current epoch, or the next epoch if it is finished."""
        batches = self.batches(self.epoch)
        if self.position >= len(batches):
            self.epoch += 1
            self.position = 0
            batches = self.batches(self.epoch)
        while self.position < len(batches):
            self.position += 1
            yield batches[self.position - 1]

    def state_dict(self, trained: int | None = None) -> dict[str, Any]:
        """State to resume from.

        Parameters
        ----------
        trained : int, optional
            Batches of the present epoch that have been trained on, where a loader draws ahead;
            those drawn when left out.
        """
        position = self.position if trained is None else trained
        return {"epoch": self.epoch, "position": position, **self._identity()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Resume from a state.

        Raises
        ------
        ValueError
            If it was taken with other frames or settings, whose batches would differ.
        """
        for name, value in self._identity().items():
            if state.get(name) != value:
                raise ValueError(
                    f"cannot resume: {name} was {state.get(name)} and is {value}; resume with the "
                    "same data and settings, or start a new run"
                )
        self.epoch, self.position = int(state["epoch"]), int(state["position"])

    def _identity(self) -> dict[str, Any]:
        return {
            "frames": int(self.costs.size),
            "cost": int(self.costs.sum()),
            "budget": self.budget,
            "shuffle": self.shuffle,
            "seed": self.seed,
            "drop_last": self.drop_last,
            "world_size": self.world_size,
            "balanced_size": None if self.sizes is None else int(self.sizes.sum()),
        }


def balanced_order(
    order: np.ndarray, sizes: np.ndarray, budget: int, world_size: int = 1
) -> np.ndarray:
    """Reorder frames so that consecutive batches are nearly equal in size.

    The frames are divided by size into as many classes as a batch of all processes has frames, and
    each batch takes one of every class, in the order in which they came. What that leaves over
    comes last.

    Parameters
    ----------
    order : array of int, shape (frames,)
    sizes : array of int, shape (frames,)
    budget, world_size : int
        Frames in the batch of one process, and the number of processes.
    """
    number = budget * world_size
    place = np.argsort(order)
    classes = [
        members[np.argsort(place[members])] for members in size_classes(order, sizes, number)
    ]
    # Every process takes each world_size-th class: small and large ones, too.
    classes = [members for rank in range(world_size) for members in classes[rank::world_size]]
    complete = len(order) // number
    together = np.stack([members[:complete] for members in classes], axis=1)
    return np.concatenate([together.ravel(), *(members[complete:] for members in classes)])


def size_classes(order: np.ndarray, sizes: np.ndarray, number: int) -> list[np.ndarray]:
    """Frames divided by size into a number of equally large classes; equal sizes stay in order."""
    return np.array_split(order[np.argsort(sizes[order], kind="stable")], number)


def fill(order: np.ndarray, costs: np.ndarray, budget: int, drop_last: bool) -> list[list[int]]:
    """Divide ordered frames into batches that do not exceed the maximum size."""
    batches: list[list[int]] = [[]]
    spent = 0
    for index in order.tolist():
        cost = int(costs[index])
        if spent + cost > budget:
            batches.append([])
            spent = 0
        batches[-1].append(index)
        spent += cost
    if drop_last and spent < budget:
        batches.pop()
    return batches


def frame_costs(dataset: GraphDataset, measure: Measure = "frames") -> list[int]:
    """Size of each frame of a data set in frames, atoms or edges."""
    measures = {"atoms": dataset.num_atoms, "edges": dataset.num_edges}
    return [1] * len(dataset) if measure == "frames" else measures[measure].tolist()
