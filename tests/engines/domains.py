"""Structures divided in memory: every domain is a thread, and messages pass through lists."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from ase import Atoms

from ase_geomformer.engines.domain import (
    DomainEvaluator,
    DomainResult,
    Images,
    Mode,
    Neighbourhood,
    reach,
)
from ase_geomformer.runtime.prepared import PreparedPotential

TIMEOUT = 60.0


class Board:
    """Where the threads of a run put what they have for each other."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.barrier = threading.Barrier(size, timeout=TIMEOUT)
        self.parts: list[list[np.ndarray]] = [[] for _ in range(size)]


class ThreadMessenger:
    """A messenger between threads."""

    def __init__(self, board: Board, rank: int) -> None:
        self._board, self.rank, self.size = board, rank, board.size
        self.calls = 0

    def all_to_all(
        self, parts: Sequence[np.ndarray], counts: Sequence[int] | None = None
    ) -> list[np.ndarray]:
        self.calls += 1
        board = self._board
        board.parts[self.rank] = [np.array(part) for part in parts]
        board.barrier.wait()
        received = [sent[self.rank] for sent in board.parts]
        board.barrier.wait()
        assert counts is None or [len(part) for part in received] == list(counts)
        return received


def together(size: int, work: Callable[[ThreadMessenger], Any]) -> list[Any]:
    """What every domain's thread gives; the error of the first that fails."""
    board = Board(size)

    def guarded(rank: int) -> Any:
        try:
            return work(ThreadMessenger(board, rank))
        except threading.BrokenBarrierError:
            return None  # another thread has failed
        except BaseException:
            board.barrier.abort()
            raise

    with ThreadPoolExecutor(size) as pool:
        return list(pool.map(guarded, range(size)))


def images_around(atoms: Atoms, chosen: np.ndarray, radius: float) -> tuple[Images, np.ndarray]:
    """Chosen atoms, and all images of atoms within a radius of one of them."""
    atoms = atoms.copy()
    atoms.wrap()
    # Wrapped positions are less than a cell apart.
    heights = 1.0 / np.linalg.norm(np.linalg.pinv(atoms.cell.array), axis=0).clip(min=1e-9)
    counts = np.where(atoms.pbc, np.ceil(radius / heights).astype(int) + 1, 0)
    local = atoms.positions[chosen]
    ids, places = [chosen], [local]
    for shift in itertools.product(*(range(-count, count + 1) for count in counts)):
        moved = atoms.positions + np.array(shift) @ atoms.cell.array
        candidates = np.arange(len(atoms))
        if not any(shift):
            candidates = np.setdiff1d(candidates, chosen)
        distances = np.linalg.norm(moved[candidates, None] - local[None], axis=2)
        near = candidates[(distances <= radius).any(axis=1)]
        ids.append(near)
        places.append(moved[near])
    number = np.concatenate(ids)
    return Images(number + 1, atoms.numbers[number], len(chosen)), np.concatenate(places)


def evaluate_divided(
    prepared: PreparedPotential,
    atoms: Atoms,
    owners: np.ndarray,
    size: int,
    mode: Mode = "exchange",
    *,
    margin: float = 0.0,
) -> tuple[list[DomainResult], np.ndarray]:
    """Results of all domains, and the forces on all atoms."""

    def work(messenger: ThreadMessenger) -> DomainResult:
        evaluator = DomainEvaluator(prepared, messenger, mode)
        chosen = np.flatnonzero(owners == messenger.rank)
        radius = reach(prepared.potential, mode) + margin
        images, positions = images_around(atoms, chosen, radius)
        hood = Neighbourhood(images, positions, messenger, prepared.potential, mode=mode)
        info = atoms.info
        cell = atoms.cell.array if atoms.cell.rank == 3 else 10.0 * np.eye(3)
        graph = hood.graph(positions, cell, info.get("charge", 0.0), info.get("spin", 1.0))
        return evaluator(graph, len(chosen))

    results = together(size, work)
    forces = np.zeros((len(atoms), 3))
    for rank, result in enumerate(results):
        if result is not None:
            forces[owners == rank] = result.forces
    return results, forces
