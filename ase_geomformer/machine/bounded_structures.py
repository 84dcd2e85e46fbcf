"""Files with structures, bounded before ASE's readers take them, see :mod:`.bounded`."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import math
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np
from ase import Atoms

from ase_geomformer.machine.bounded import (
    COMPRESSION,
    JSON_BYTES,
    check_claim,
    check_free_memory,
    check_regular,
    shallow_text,
)

# Bytes of one line of a text file: a million atoms do not need it.
LINE_BYTES = 2**24
# How much of a file is checked for endless lines.
CHECKED_BYTES = 2**26
# An atom of an xyz file takes one letter, three digits, and what separates them.
XYZ_BYTES_PER_ATOM = 8
_CHUNK = 2**20
# Beginning and length of the head of ASE's binary trajectories.
_ULM, _ULM_HEAD = b"- of Ulm", 48

OPENERS: dict[str, Callable[..., IO[Any]]] = {
    ".xz": lzma.open,
    ".gz": gzip.open,
    ".bz2": bz2.open,
}
"""How compressed files are opened, by their suffix."""


def check_structure_file(path: Path) -> None:
    """Refuse a file with structures whose readers would never end.

    Raises
    ------
    ValueError
        If it is not a regular file, unfolds without bounds, has a line of text of more than 16 MB,
        or claims more atoms or frames than it can hold.
    """
    size = check_regular(path)
    opener = OPENERS.get(path.suffix.lower(), open)
    if opener is not open:
        size = _unfolded(path, opener, size)
    plain = path.with_suffix("") if opener is not open else path
    with opener(path, "rb") as file:
        start = file.read(4096)
        if start.startswith(_ULM):
            _check_ulm(file, size)
        if b"\0" in start:
            return  # not text
        file.seek(0)
        _check_lines(file)
        if plain.suffix in (".xyz", ".extxyz"):
            file.seek(0)
            _check_counts(file, size)


def check_appendable(path: Path) -> None:
    """Refuse one of ASE's trajectories whose first frame claims what it does not hold.

    Appending to a trajectory reads that frame.

    Raises
    ------
    ValueError
        If it does.
    """
    size = check_regular(path)
    with path.open("rb") as file:
        for offset in _ulm_frames(file, size)[:1]:
            try:
                _frame_bytes(file, offset, size)
            except ValueError as error:
                raise ValueError(f"{path.name}: {error}") from error


def read_checked(path: Path, index: str = ":", **options: Any) -> list[Atoms]:
    """Frames of a file in the folder of a run, which others may have changed.

    Parameters
    ----------
    path : Path
    index : str
        As in ase.io.read.
    **options
        For ase.io.read.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is refused by :func:`check_structure_file`, or cannot be read.
    """
    from ase.io import read

    try:
        check_structure_file(path)
        found: Any = read(path, index=index, **options)
    except FileNotFoundError:
        raise
    except Exception as error:  # each of ASE's readers has errors of its own
        detail = str(error) or "it ends too early"
        raise ValueError(f"cannot read structures from {path}: {detail}") from error
    return found if isinstance(found, list) else [found]


def _unfolded(path: Path, opener: Callable[..., IO[Any]], stored: int) -> int:
    """Size in bytes of a compressed file's content."""
    with opener(path, "rb") as file:
        while file.read(_CHUNK):
            check_claim(path.name, file.tell(), stored)
        check_free_memory(file.tell())
        return int(file.tell())


def _check_lines(file: IO[bytes]) -> None:
    since = 0
    while chunk := file.read(_CHUNK):
        first, last = chunk.find(b"\n"), chunk.rfind(b"\n")
        longest = since + (len(chunk) if first < 0 else first)
        since = longest if first < 0 else len(chunk) - last - 1
        if longest > LINE_BYTES:
            raise ValueError(
                f"it has a line of more than {LINE_BYTES // 2**20} MB; it is not a text file with "
                "structures, or one that has lost its ends of lines"
            )
        if file.tell() > CHECKED_BYTES:
            return


def _check_counts(file: IO[bytes], size: int) -> None:
    """The number before each frame of an xyz file, against the bytes that are left."""
    while line := file.readline():
        text = line.strip()
        if not text.isdigit():
            return  # blank, or an error that the reader tells better
        left = size - file.tell()
        if len(text) > 18 or int(text) > left / XYZ_BYTES_PER_ATOM:
            raise ValueError(
                f"a frame claims {text[:30].decode()} atoms, and only {left} bytes are left in the "
                "file"
            )
        for _ in range(int(text) + 1):
            file.readline()


def _check_ulm(file: IO[bytes], size: int) -> None:
    """ASE's trajectories: a table of frames; each a JSON text, which says where its arrays are."""
    offsets = _ulm_frames(file, size)
    claimed: dict[int, float] = {}
    for offset in offsets:
        if offset not in claimed:
            claimed[offset] = _frame_bytes(file, offset, size)
    total = sum(claimed[offset] for offset in offsets)
    if total > COMPRESSION * size:
        raise ValueError(
            f"its {len(offsets)} frames claim {total / 1e9:.3g} GB, and it has {size} bytes"
        )


def _ulm_frames(file: IO[bytes], size: int) -> list[int]:
    """Where the frames of a trajectory begin."""
    file.seek(0)
    head = file.read(_ULM_HEAD)
    count, table = struct.unpack("<2q", head[32:48]) if len(head) == _ULM_HEAD else (0, 0)
    if count < 0 or table < 0 or table + 8 * count > size:
        raise ValueError(f"it claims {count} frames, and has {size} bytes")
    file.seek(table)
    return list(np.frombuffer(file.read(8 * count), dtype="<i8").tolist())


def _frame_bytes(file: IO[bytes], offset: int, size: int) -> float:
    """How much memory a frame claims."""
    if not 0 <= offset <= size - 8:
        raise ValueError(f"a frame is to be at byte {offset}, and it has {size} bytes")
    file.seek(offset)
    (length,) = struct.unpack("<q", file.read(8))
    if not 0 <= length <= JSON_BYTES:
        raise ValueError(f"a frame at byte {offset} claims {length} bytes of text")
    total = 0.0
    for shape, dtype, place in _ulm_arrays(json.loads(shallow_text(file.read(length)))):
        wanted = math.prod(shape) * np.dtype(dtype).itemsize
        if min(shape, default=0) < 0 or not 0 <= place <= size - wanted:
            raise ValueError(f"an array claims shape {tuple(shape)}, and it has {size} bytes")
        total += wanted
    return total


def _ulm_arrays(content: Any) -> Iterator[tuple[list[int], str, int]]:
    """Shape, type and place of each array that a frame refers to."""
    if not isinstance(content, dict):
        return
    if "ndarray" in content:
        yield content["ndarray"]
    for entry in content.values():
        yield from _ulm_arrays(entry)
