"""Values that many tasks read, sent once to each worker."""

from __future__ import annotations

import hashlib
import pickle  # noqa: TID251 - as executors do with tasks: between processes, never stored
import threading
from typing import Any, Generic, TypeVar, cast

from ase_geomformer.runs.executor import Executor
from ase_geomformer.runs.received import RECEIVED

T = TypeVar("T")


class _Opened(threading.local):
    """What a thread has unpickled last: calculators serve one thread at a time."""

    sha256 = ""
    value: Any = None


_OPENED = _Opened()


class Shared(Generic[T]):
    """A value pickled once, for tasks in other processes.

    Every worker of a Dask cluster, those that join or are replaced later included, receives it
    once; with other executors it travels with each task. Every thread of a worker unpickles it
    once, after it has checked its SHA-256.

    Parameters
    ----------
    value : object
    executor : Executor
        What the tasks will be given to.

    Attributes
    ----------
    sha256 : str
    """

    def __init__(self, value: T, executor: Executor) -> None:
        content = pickle.dumps(value)
        self.sha256 = hashlib.sha256(content).hexdigest()
        self._content: bytes | None = content
        client: Any = getattr(executor, "_client", None)
        if hasattr(client, "register_plugin"):
            from ase_geomformer.runs.dask_plugin import Delivery

            client.register_plugin(Delivery(self.sha256, content))
            self._content = None

    def get(self) -> T:
        """The value, the same object for all tasks of a thread.

        Raises
        ------
        RuntimeError
            If it was not received, or not whole.
        """
        if self.sha256 != _OPENED.sha256:
            content = RECEIVED.get(self.sha256, self._content)
            if content is None or hashlib.sha256(content).hexdigest() != self.sha256:
                raise RuntimeError(
                    "the worker has not received what its task needs, or not whole; start the run "
                    "again"
                )
            _OPENED.value = pickle.loads(content)  # noqa: S301
            _OPENED.sha256 = self.sha256
        return cast(T, _OPENED.value)
