"""One writer for each run folder.

The lock is the operating system's, so that it is released by the death of its holder, and holds
between machines where the file system does: local disks, NFS and Lustre with locking.
"""

from __future__ import annotations

import atexit
import json
import os
import platform
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

from filelock import FileLock, Timeout

from ase_geomformer.machine.bounded import read_json

LOCK_FILE = ".lock"
_held: dict[Path, FileLock] = {}


class FolderInUseError(BlockingIOError):
    """Another process writes into the folder."""


def hold(folder: Path) -> None:
    """Take a folder for this process, until :func:`release` or its end.

    Raises
    ------
    FolderInUseError
        If another process has it; the message says which, and since when.

    Warns
    -----
    UserWarning
        If the file system has no locks: nothing then keeps others away.
    """
    place = folder.resolve()
    if place in _held:
        return
    lock = FileLock(place / LOCK_FILE, timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise FolderInUseError(
            f"{folder} is in use by {_holder(place)}; wait for its end, or give another folder"
        ) from None
    except (OSError, NotImplementedError) as error:
        if not os.access(place, os.W_OK):
            raise
        warnings.warn(
            f"{folder} lies on a file system without locks ({error}): make sure that no other "
            "process writes into it",
            stacklevel=2,
        )
        return
    _held[place] = lock
    about = {
        "host": platform.node(),
        "pid": os.getpid(),
        "since": datetime.now().astimezone().isoformat(timespec="seconds"),
    }
    (place / LOCK_FILE).write_text(json.dumps(about) + "\n", encoding="utf-8")


def check_free(folder: Path) -> None:
    """Refuse a folder that another process has now, as :func:`hold` would; nothing is changed."""
    place = folder.resolve()
    if (place / LOCK_FILE).exists() and place not in _held:
        hold(folder)
        release(folder)


@atexit.register
def release_all() -> None:
    """Let others write into all folders that this process holds."""
    for place in list(_held):
        release(place)


def release(folder: Path) -> None:
    """Let others write into a folder; nothing happens where this process does not hold it."""
    place = folder.resolve()
    lock = _held.pop(place, None)
    if lock is not None:
        with suppress(FileNotFoundError):  # the folder may have been removed
            (place / LOCK_FILE).unlink()
        lock.release()


@contextmanager
def released(folder: Path) -> Iterator[None]:
    """Let others write into a folder after this block, however it ends."""
    try:
        yield
    finally:
        release(folder)


def _holder(place: Path) -> str:
    """Who holds a folder, as far as the lock file tells."""
    try:
        about = read_json(place / LOCK_FILE)
        return f"process {int(about['pid'])} on {about['host']}, since {about['since']}"
    except (OSError, ValueError, TypeError, KeyError, OverflowError):
        return "another process"
