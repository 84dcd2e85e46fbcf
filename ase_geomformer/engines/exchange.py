"""Exchange of rows between the domains of a structure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Ids = NDArray[np.int64]


class Messenger(Protocol):
    """Carries arrays between the processes of a run; all of them call it in the same order."""

    @property
    def rank(self) -> int:
        """Number of this process."""

    @property
    def size(self) -> int:
        """Number of processes."""

    def all_to_all(
        self, parts: Sequence[NDArray[Any]], counts: Sequence[int] | None = None
    ) -> list[NDArray[Any]]:
        """What every process has for this one, from what this one has for every process.

        Arrays are of one dtype and, but for their length, of one shape. ``counts`` are the lengths
        of those to come, where they are known.
        """


class Alone:
    """The messenger of a single process."""

    rank, size = 0, 1

    def all_to_all(
        self, parts: Sequence[NDArray[Any]], counts: Sequence[int] | None = None
    ) -> list[NDArray[Any]]:
        """What is sent comes back."""
        return list(parts)


class MPIMessenger:
    """Messages through MPI.

    Parameters
    ----------
    comm : mpi4py.MPI.Comm
    """

    def __init__(self, comm: Any) -> None:
        from mpi4py import MPI

        self._comm, self._byte = comm, MPI.BYTE
        self.rank, self.size = comm.rank, comm.size

    def all_to_all(
        self, parts: Sequence[NDArray[Any]], counts: Sequence[int] | None = None
    ) -> list[NDArray[Any]]:
        """One Alltoallv, after one for the lengths where they are not known."""
        lengths = [len(part) for part in parts]
        if counts is None:
            counts = self._comm.alltoall(lengths)
        sent = np.concatenate(parts)
        received = np.empty((sum(counts), *sent.shape[1:]), sent.dtype)
        width = sent.dtype.itemsize * int(np.prod(sent.shape[1:]))
        self._comm.Alltoallv(
            [sent, [length * width for length in lengths], self._byte],
            [received, [count * width for count in counts], self._byte],
        )
        return np.split(received, np.cumsum(counts)[:-1])


def total(messenger: Messenger, values: NDArray[Any]) -> NDArray[Any]:
    """Sum of an array over all processes, in their order: the same to the bit in each of them."""
    if messenger.size == 1:
        return values
    found = messenger.all_to_all([values[None]] * messenger.size, [1] * messenger.size)
    summed: NDArray[Any] = np.concatenate(found).sum(axis=0)
    return summed


class Plan:
    """Which rows of local atoms other domains have as ghosts, and where the own ghosts live.

    It connects domains as :class:`~ase_geomformer.graph.domain.Links` says, and holds as long as
    no atom migrates.

    Parameters
    ----------
    messenger : Messenger
    local_ids : array of int, shape (N,)
        Numbers of the atoms of this domain, different for all atoms of the structure.
    ghost_ids : array of int, shape (G,)
        Numbers of atoms of other domains, each once.

    Raises
    ------
    RuntimeError
        If a ghost is in no domain.
    """

    def __init__(self, messenger: Messenger, local_ids: Ids, ghost_ids: Ids) -> None:
        self.messenger = messenger
        self.num_local, self.num_ghosts = len(local_ids), len(ghost_ids)
        owners, rows = locate(messenger, local_ids, ghost_ids)
        peers = range(messenger.size)
        # Ghosts in the order in which their rows arrive.
        order = np.argsort(owners, kind="stable")
        self._arriving = torch.from_numpy(order)
        self._to_come = np.bincount(owners, minlength=messenger.size).tolist()
        wanted = [rows[owners == peer] for peer in peers]
        asked = messenger.all_to_all(wanted)
        self._to_send = [len(part) for part in asked]
        self._sending = torch.from_numpy(np.concatenate(asked))

    @property
    def rows_sent(self) -> int:
        """Number of rows that go out in every exchange."""
        return len(self._sending)

    def fetch(self, rows: Tensor) -> Tensor:
        """Rows (G, w) of the ghosts from rows (N, w) of the local atoms."""
        arrived = self._exchange(rows[self._sending], self._to_send, self._to_come)
        ghosts = torch.empty_like(arrived)
        ghosts[self._arriving] = arrived
        return ghosts

    def deliver(self, rows: Tensor) -> Tensor:
        """Sums (N, w) of what all domains have for the atoms of this one, from ghosts (G, w)."""
        arrived = self._exchange(rows[self._arriving], self._to_come, self._to_send)
        zeros = rows.new_zeros(self.num_local, rows.shape[1])
        return zeros.index_add(0, self._sending.to(rows.device), arrived)

    def total(self, values: Tensor) -> Tensor:
        """Sum of a tensor over all domains."""
        summed = total(self.messenger, values.detach().cpu().numpy())
        return torch.from_numpy(summed).to(values.device)

    def _exchange(self, rows: Tensor, sent: Sequence[int], to_come: Sequence[int]) -> Tensor:
        """Consecutive rows go to the processes in their order, as many to each as ``sent`` says."""
        host = rows.detach().cpu().numpy()
        parts = np.split(host, np.cumsum(sent)[:-1])
        arrived = np.concatenate(self.messenger.all_to_all(parts, to_come))
        return torch.from_numpy(arrived).to(rows.device)


def locate(messenger: Messenger, local_ids: Ids, ghost_ids: Ids) -> tuple[Ids, Ids]:
    """Process and row of each ghost.

    Every process keeps a directory of the ids with its own remainder, so that none needs to know
    where all atoms are.
    """
    size = messenger.size
    own_rows = np.arange(len(local_ids), dtype=np.int64)
    entries = np.stack([local_ids, own_rows], axis=1)
    told = messenger.all_to_all([entries[local_ids % size == peer] for peer in range(size)])
    keeper = np.repeat(np.arange(size), [len(part) for part in told])
    ids, rows = np.concatenate(told).T
    order = np.argsort(ids, kind="stable")
    ids, rows, keeper = ids[order], rows[order], keeper[order]
    askers = [np.flatnonzero(ghost_ids % size == peer) for peer in range(size)]
    answers = []
    for asked in messenger.all_to_all([ghost_ids[asker] for asker in askers]):
        place = np.searchsorted(ids, asked).clip(max=max(len(ids) - 1, 0))
        found = ids[place] == asked if len(ids) else np.zeros(len(asked), bool)
        answer = np.full((len(asked), 2), -1, dtype=np.int64)
        answer[found] = np.stack([keeper[place[found]], rows[place[found]]], axis=1)
        answers.append(answer)
    located = np.empty((len(ghost_ids), 2), dtype=np.int64)
    located[np.concatenate(askers)] = np.concatenate(messenger.all_to_all(answers))
    lost = ghost_ids[located[:, 0] < 0]
    # All processes stop, not only the one that misses an atom.
    if total(messenger, np.array([len(lost)]))[0]:
        raise RuntimeError(
            f"{len(lost)} ghost atoms of process {messenger.rank} are in no domain"
            + (f", such as number {lost[0]}" if len(lost) else "; other processes miss some")
        )
    return located[:, 0], located[:, 1]
