"""Adding to an HDF5 file that anyone can read at any moment, also after a kill.

HDF5's single-writer mode orders its writes so that what a reader finds is consistent after each of
them. It also marks the file as being written to, and a file whose writer was killed stays marked:
others refuse it. Here the writes are collected in memory, and go to the file without the mark and
in three parts: what lies beyond the end of the file, to which nothing refers yet; the superblock,
which says where the file ends; and the changes within it, in HDF5's order.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

# The oldest format with a single-writer mode: the most programs read it.
LIBVER = ("v110", "v110")
# Signature, versions, flags, four addresses and a checksum (HDF5 file format, version 3).
_SUPERBLOCK_BYTES = 48


@contextmanager
def open_to_add(path: Path) -> Iterator[Any]:
    """Open a file to add to its datasets; all is written, and on the disk, when the block ends.

    Parameters
    ----------
    path : Path
        An HDF5 file that :data:`LIBVER` was given for.

    Yields
    ------
    h5py.File
        In single-writer mode: datasets can grow, and none can be made. What others see of several
        datasets changes in the order in which they are flushed.
    """
    import h5py

    with path.open("r+b", buffering=0) as raw:
        collected = _Collected(raw)
        with h5py.File(collected, "r+", libver=LIBVER) as file:
            file.swmr_mode = True
            yield file
        for offset, content in collected.in_order():
            raw.seek(offset)
            raw.write(content)
        os.fsync(raw.fileno())


class _Collected(io.RawIOBase):
    """A file whose changes are kept in memory, with what h5py asks of a file."""

    def __init__(self, raw: Any) -> None:
        self._raw = raw
        self._size = raw.seek(0, os.SEEK_END)
        self._place = 0
        self._beyond = bytearray()
        self._within: list[tuple[int, bytes]] = []

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        end = self._size + len(self._beyond)
        self._place = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._place, os.SEEK_END: end}[whence]
        return self._place

    def tell(self) -> int:
        return self._place

    def readinto(self, buffer: Any) -> int:
        start = self._place
        found = self._read(start, min(start + len(buffer), self._size))
        begin = max(start - self._size, 0)
        found += self._beyond[begin : max(start + len(buffer) - self._size, 0)]
        buffer[: len(found)] = found
        self._place += len(found)
        return len(found)

    def _read(self, start: int, stop: int) -> bytearray:
        """Bytes that lie within the file, with the changes made to them."""
        if stop <= start:
            return bytearray()
        self._raw.seek(start)
        found = bytearray(self._raw.read(stop - start))
        for offset, content in self._within:
            first, last = max(offset, start), min(offset + len(content), stop)
            if first < last:
                found[first - start : last - start] = content[first - offset : last - offset]
        return found

    def write(self, content: Any) -> int:
        within = max(0, min(len(content), self._size - self._place))
        if within:
            self._within.append((self._place, bytes(content[:within])))
        if within < len(content):
            begin = self._place + within - self._size
            self._beyond.extend(bytes(max(0, begin - len(self._beyond))))
            self._beyond[begin : begin + len(content) - within] = content[within:]
        self._place += len(content)
        return len(content)

    def truncate(self, size: int | None = None) -> int:
        size = self._place if size is None else size
        if size < self._size:
            raise OSError("a file that is added to does not get shorter")
        length = size - self._size
        del self._beyond[length:]
        self._beyond.extend(bytes(length - len(self._beyond)))
        return size

    def in_order(self) -> Iterator[tuple[int, bytes]]:
        """What to write where, one after the other."""
        yield self._size, bytes(self._beyond)
        yield 0, bytes(self._read(0, _SUPERBLOCK_BYTES))
        yield from ((offset, content) for offset, content in self._within if offset > 0)
