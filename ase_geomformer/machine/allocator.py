"""Keeping freed memory for the next step instead of returning it to the system.

After each evaluation glibc returns freed memory to the system and requests it again for the next,
page by page, which took up to half the time of a step of hundreds of atoms on a CPU.
"""

from __future__ import annotations

import ctypes
import os
from functools import cache

# The numbers of mallopt(3).
TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3
# The largest number that mallopt takes. Larger pieces come from the system one by one, and go back
# one by one; compiled code puts all its intermediate results into one piece.
KEPT_BYTES = 2**31 - 1
USERS_OWN = (
    "MALLOC_TRIM_THRESHOLD_",
    "MALLOC_MMAP_THRESHOLD_",
    "MALLOC_TOP_PAD_",
    "GLIBC_TUNABLES",
)
# Dask tells its workers so by itself. Two of them then took as long for 1,200 relaxations as one
# process.
OF_DASK = ("MALLOC_TRIM_THRESHOLD_", "65536")


@cache
def keep_freed_memory() -> bool:
    """Let this process keep up to 2 GB of freed memory.

    glibc is told once, and does so for the whole process from then on. Where an environment
    variable tells it how to go about memory, that counts, and nothing is done.

    Returns
    -------
    bool
        Whether it was done. Other C libraries have no such setting.
    """
    library = _glibc()
    chosen = [(name, os.environ[name]) for name in USERS_OWN if name in os.environ]
    if library is None or any(one != OF_DASK for one in chosen):
        return False
    settings = ((MMAP_THRESHOLD, KEPT_BYTES), (TRIM_THRESHOLD, KEPT_BYTES))
    return all(library.mallopt(number, value) for number, value in settings)


def give_freed_memory_back() -> None:
    """Return unused memory to the system; memory that is freed later is kept again."""
    library = _glibc()
    if library is not None:
        library.malloc_trim(0)


@cache
def _glibc() -> ctypes.CDLL | None:
    """The C library where it is glibc."""
    try:
        library = ctypes.CDLL(None)
        return library if library.gnu_get_libc_version else None
    except (AttributeError, OSError, TypeError):
        return None
