"""Labels from the workers of a cluster, or of any executor."""

from __future__ import annotations

import atexit
import tempfile
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from ase import Atoms

from ase_geomformer.learning.answers import Answer
from ase_geomformer.learning.workers import Worker
from ase_geomformer.runs.executor import Executor, Failure, executor_of, spread
from ase_geomformer.runs.plain import to_json


class ClusterLabeller:
    """Labels structures on the workers of a cluster, each of them a task.

    A worker of the cluster has the teacher in a process of its own with a temporary folder, so
    that a teacher that crashes or hangs is a failed call and not the end of the worker.

    Parameters
    ----------
    name, arguments
        Of the teacher.
    timeout_s : float or None
    cluster : Executor, dask.distributed.Client or str
        See :func:`~ase_geomformer.runs.executor.executor_of`.
    """

    def __init__(
        self,
        name: str,
        arguments: Mapping[str, Any],
        timeout_s: float | None,
        cluster: Executor | Any | str,
    ) -> None:
        self._task = Asking(name, arguments, timeout_s)
        self._opened = ExitStack()
        self._executor = self._opened.enter_context(executor_of(cluster))

    def __call__(self, structures: Iterable[Atoms]) -> Iterator[tuple[int, Answer]]:
        for index, found in spread(self._executor, self._task, list(structures)):
            yield index, Answer(reason=found.error) if isinstance(found, Failure) else found

    def close(self) -> None:
        """Leave the cluster; end it, if it was started here."""
        self._opened.close()


class Asking:
    """What a worker does with structures: ask the teacher that it keeps."""

    def __init__(self, name: str, arguments: Mapping[str, Any], timeout_s: float | None) -> None:
        self.name, self.arguments, self.timeout_s = name, dict(arguments), timeout_s

    def __call__(self, structures: Sequence[Atoms]) -> list[Answer]:
        teacher = self._teacher()
        return [teacher.ask(atoms) for atoms in structures]

    def _teacher(self) -> Worker:
        """The process of this thread, begun with the first structure."""
        key = to_json([self.name, self.arguments, self.timeout_s])
        kept: dict[str, Worker] = _of_thread.__dict__
        if key not in kept:
            place = tempfile.TemporaryDirectory(prefix="teacher-")
            kept[key] = Worker(self.name, self.arguments, Path(place.name), self.timeout_s)
            # In reverse order: the process ends before its folder is removed.
            atexit.register(place.cleanup)
            atexit.register(kept[key].close)
        return kept[key]


_of_thread = threading.local()
