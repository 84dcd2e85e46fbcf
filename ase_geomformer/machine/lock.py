"""A lock for objects that are copied and pickled."""

from __future__ import annotations

import threading


class Lock:
    """Lets one thread at a time into its ``with`` blocks, which may be nested.

    A deep copy, or a copy through pickle, is a lock of its own.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()

    def __reduce__(self) -> tuple[type[Lock], tuple[()]]:
        return Lock, ()
