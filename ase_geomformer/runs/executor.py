"""Work spread over processes and machines, by anything that has a ``submit``.

A list of items is worked off in batches. A worker of a Dask cluster that dies, of its walltime for
instance, costs the batch it was busy with, which others do again, as often as Dask's setting
``distributed.scheduler.allowed-failures`` says. The items of a batch that fails are tried one by
one; those that fail again, or that workers die of when nothing else is under way, are set aside,
and all others are done.
"""

from __future__ import annotations

import queue
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import BrokenExecutor, CancelledError
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from ase_geomformer.runs.cluster import connect

T = TypeVar("T")
R = TypeVar("R")

# Batches handed over and not done, so that long lists do not fill the scheduler's memory.
AHEAD = 256

# Dask's error for a task whose workers have died; dask may not be installed.
_WORKER_DIED = "KilledWorker"


class Future(Protocol):
    """What ``submit`` returns."""

    def result(self) -> Any: ...

    def add_done_callback(self, callback: Callable[[Any], Any], /) -> Any: ...


class Executor(Protocol):
    """What takes tasks: an executor of ``concurrent.futures`` or ``mpi4py.futures``, for example.

    The futures of a Dask ``Client`` are wrapped by its own executor, see :func:`executor_of`.
    """

    def submit(self, function: Callable[..., Any], /, *args: Any) -> Future: ...


@dataclass(frozen=True)
class Failure:
    """Stands in for the result of an item that could not be done; ``error`` says why."""

    error: str


@dataclass
class _Task(Generic[T]):
    numbers: range
    items: Sequence[T]
    alone: bool = False

    def split(self) -> Iterator[_Task[T]]:
        """One task for each item."""
        for offset, number in enumerate(self.numbers):
            yield _Task(range(number, number + 1), self.items[offset : offset + 1])


@contextmanager
def executor_of(cluster: Executor | Any | str) -> Iterator[Executor]:
    """The executor that a user means; what is opened here is closed in the end.

    Parameters
    ----------
    cluster : Executor, dask.distributed.Client or str
        ``local`` or ``local:N`` for N processes on this machine, one for each core by default;
        ``dask://HOST:PORT`` for the scheduler of a Dask cluster.

    Raises
    ------
    ConnectionError
        If no scheduler answers there, or its workers have another version of this package.
    ImportError
        If dask is needed and not installed.
    TypeError, ValueError
        If it is none of these.
    """
    if isinstance(cluster, str):
        with connect(cluster) as client:
            yield client.get_executor(pure=False)
    elif hasattr(cluster, "get_executor"):
        yield cluster.get_executor(pure=False)
    elif hasattr(cluster, "submit"):
        yield cluster
    else:
        raise TypeError(
            "a cluster is 'local', 'dask://HOST:PORT', a Dask Client or an executor with "
            f"submit, not {type(cluster).__name__}"
        )


def spread(
    executor: Executor,
    function: Callable[[Sequence[T]], Sequence[R]],
    items: Sequence[T],
    *,
    batch_size: int = 1,
) -> Iterator[tuple[int, R | Failure]]:
    """Results of all items as they come, each with the number of its item.

    The batches depend on ``batch_size`` alone, so that results are the same to the bit on any
    number of workers, whether or not one of them dies.

    Parameters
    ----------
    executor : Executor
    function : callable
        Takes a batch of items and returns as many results; it is pickled.
    items : sequence
        Consecutive ones are a batch.
    batch_size : int

    Yields
    ------
    (int, result or Failure)

    Raises
    ------
    RuntimeError
        If the executor itself breaks, as a ``ProcessPoolExecutor`` does when a process dies.
    ConnectionError
        If the cluster cancels work, as it does when its scheduler is lost.
    """
    if batch_size < 1:
        raise ValueError(f"batch_size must be at least 1, not {batch_size}")
    starts = range(0, len(items), batch_size)
    waiting: deque[_Task[T]] = deque(
        _Task(range(start, min(start + batch_size, len(items))), items[start : start + batch_size])
        for start in starts
    )
    done: queue.SimpleQueue[tuple[_Task[T], Future]] = queue.SimpleQueue()
    suspects: deque[_Task[T]] = deque()
    under_way = 0
    while waiting or under_way or suspects:
        if not waiting and not under_way:
            waiting.append(suspects.popleft())
            waiting[0].alone = True
        while waiting and under_way < AHEAD:
            task = waiting.popleft()
            _submitted(executor, function, task, done)
            under_way += 1
        task, future = done.get()
        under_way -= 1
        try:
            results = _result(future, len(task.items))
        except (BrokenExecutor, CancelledError) as error:
            raise _lost(executor, error) from error
        except Exception as error:
            # Dask has given the batch of dead workers to others, as often as it is told to.
            if len(task.items) > 1:
                waiting.extend(task.split())
            elif type(error).__name__ == _WORKER_DIED and not task.alone:
                # It may have waited where another one killed the worker.
                suspects.append(task)
            else:
                yield task.numbers[0], Failure(f"{type(error).__name__}: {error}")
        else:
            yield from zip(task.numbers, results, strict=True)


def _submitted(
    executor: Executor,
    function: Callable[[Sequence[T]], Sequence[R]],
    task: _Task[T],
    done: queue.SimpleQueue[tuple[_Task[T], Future]],
) -> None:
    try:
        future = executor.submit(function, task.items)
    except BrokenExecutor as error:
        raise _lost(executor, error) from error
    future.add_done_callback(lambda finished: done.put((task, finished)))


def _result(future: Future, number: int) -> Sequence[Any]:
    results: Sequence[Any] = future.result()
    if len(results) != number:
        raise ValueError(f"{len(results)} results for {number} items")
    return results


def _lost(executor: Executor, error: BaseException) -> Exception:
    kind = type(executor).__name__
    if isinstance(error, CancelledError):
        return ConnectionError(
            f"the cluster cancelled the work given to its {kind}; its scheduler may have stopped. "
            "Start it again and resume the run"
        )
    return RuntimeError(
        f"a process of the {kind} died and took the executor with it ({error}); resume the run "
        "with a new one, or with a Dask cluster, which replaces dead workers"
    )
