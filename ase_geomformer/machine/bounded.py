"""Files that others made, bounded before they are parsed.

Parsers trust what they read: a few bytes can ask for all memory, or for hours. Each reader here
first checks the size, nesting and counts of a file against a limit, far above what this package
and its users write. Errors are ValueErrors that name the fault and the limit.
"""

from __future__ import annotations

import json
import math
import re
import stat
import zipfile
from pathlib import Path
from typing import IO, Any

import numpy as np
import yaml

from ase_geomformer.machine.memory import free_host_memory

# Cards and other JSON: ours take up to 30 kB. Parsing takes about 50 bytes of memory per byte.
JSON_BYTES = 2**21
# Settings: ours take up to 5 kB; PyYAML parses about 100 kB in a second.
YAML_BYTES = 2**18
# Values of a YAML file, each as often as aliases repeat it.
YAML_VALUES = 100_000
# Levels of brackets: ours have five.
DEPTH = 50
# Arrays of an archive.
ARRAYS = 10_000
# Compression beyond this factor tells of an archive that was made to burst: data reach about 10.
COMPRESSION = 200


def check_regular(path: Path) -> int:
    """The size in bytes of a regular file; pipes and devices, which may never end, are refused.

    Links are followed, as caches of downloads are made of them.

    Raises
    ------
    OSError
        If it is not there or not allowed.
    ValueError
        If it is not a regular file.
    """
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise ValueError("it is not a regular file")
    return status.st_size


def read_regular_file(path: Path, limit_bytes: float) -> bytes:
    """The content of a regular file of limited size.

    Raises
    ------
    OSError
        If it is not there or not allowed.
    ValueError
        If it is not a regular file, or too large.
    """
    size = check_regular(path)
    if size > limit_bytes:
        raise ValueError(
            f"its {size / 1e9:.3g} GB are more than the {limit_bytes / 1e9:.3g} GB that may be read"
        )
    return path.read_bytes()


def read_json(path: Path) -> Any:
    """The content of a JSON file, see :func:`parse_json`; its errors name the file."""
    try:
        return parse_json(read_regular_file(path, JSON_BYTES))
    except ValueError as error:
        raise ValueError(f"{path} cannot be read as JSON: {error}") from error


def parse_json(content: bytes) -> Any:
    """JSON by the letter of its standard: no NaN, no infinity, no deep nesting."""

    def refuse(constant: str) -> None:
        raise ValueError(f"{constant} is not a number in JSON")

    return json.loads(shallow_text(content), parse_constant=refuse)


def shallow_text(content: bytes) -> str:
    """The text of a JSON document that is not nested deeply.

    Raises
    ------
    ValueError
        If it is, or is not in UTF-8.
    """
    text = content.decode("utf-8")
    # Beforehand: where the interpreter's recursion limit has been raised, deep nesting ends the
    # process instead of the reading.
    if _depth(text) > DEPTH:
        raise ValueError(f"it is nested more than {DEPTH} levels deep")
    return text


def _depth(text: str) -> int:
    """How deep the brackets of a JSON text go, those in strings left out."""
    deepest = depth = 0
    for match in re.finditer(r'"(?:[^"\\]|\\.)*"|[\[\]{}]', text):
        bracket = match.group()
        if bracket in "[{":
            depth += 1
            deepest = max(deepest, depth)
        elif bracket in "]}":
            depth -= 1
    return deepest


def read_yaml(path: Path) -> Any:
    """The content of a YAML file of plain values, see :func:`parse_yaml`; errors name the file."""
    try:
        return parse_yaml(read_regular_file(path, YAML_BYTES).decode("utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} cannot be read as YAML: {error}") from error


def parse_yaml(text: str) -> Any:
    """YAML of plain values, with few aliases and little nesting.

    Raises
    ------
    ValueError
        If it is not YAML, is nested too deeply, or its aliases repeat too much.
    """
    try:
        _check_yaml(text)
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ValueError(f"it is not valid YAML: {error}") from error


def _check_yaml(text: str) -> None:
    """Count values and levels before anything is made of them."""
    sizes: dict[str, int] = {}
    open_anchors: list[str | None] = []
    counts = [0]
    for event in yaml.parse(text, yaml.SafeLoader):
        if isinstance(event, yaml.CollectionStartEvent):
            open_anchors.append(event.anchor)
            counts.append(1)
        elif isinstance(event, yaml.CollectionEndEvent):
            size, anchor = counts.pop(), open_anchors.pop()
            if anchor is not None:
                sizes[anchor] = size
            counts[-1] += size
        elif isinstance(event, yaml.ScalarEvent):
            counts[-1] += 1
            if event.anchor is not None:
                sizes[event.anchor] = 1
        elif isinstance(event, yaml.AliasEvent):
            if event.anchor in open_anchors:
                raise ValueError(f"*{event.anchor} holds itself")
            counts[-1] += sizes.get(event.anchor or "", 1)
        if len(open_anchors) > DEPTH:
            raise ValueError(f"it is nested more than {DEPTH} levels deep")
        if counts[-1] > YAML_VALUES:
            raise ValueError(f"it has more than {YAML_VALUES} values, aliases counted as often")


def read_arrays(path: Path, limit_bytes: float) -> dict[str, np.ndarray]:
    """The arrays of an npz archive, without pickled objects.

    Parameters
    ----------
    path : Path
    limit_bytes : float
        Bytes that all arrays together may take.

    Raises
    ------
    OSError
        If it is not there or not allowed.
    ValueError
        If it is not such an archive, an array claims more than the archive holds, or all take
        more than the limit.
    """
    check_archive(path, limit_bytes)
    with np.load(path, allow_pickle=False) as stored:
        return {name: stored[name] for name in stored.files}


def check_archive(path: Path, limit_bytes: float) -> None:
    """Refuse an npz archive that :func:`read_arrays` would refuse; it may hold pickled objects."""
    check_regular(path)
    try:
        with zipfile.ZipFile(path) as archive:
            _check_entries(archive, limit_bytes)
    except (zipfile.BadZipFile, EOFError, KeyError, NotImplementedError) as error:
        raise ValueError(f"it is not an npz archive: {error}") from error


def _check_entries(archive: zipfile.ZipFile, limit_bytes: float) -> None:
    entries = archive.infolist()
    if len(entries) > ARRAYS:
        raise ValueError(f"it has {len(entries)} arrays, more than {ARRAYS}")
    total = sum(entry.file_size for entry in entries)
    if total > limit_bytes:
        raise ValueError(
            f"its arrays of {total / 1e9:.3g} GB are more than the {limit_bytes / 1e9:.3g} GB that "
            "may be read"
        )
    for entry in entries:
        check_claim(entry.filename, entry.file_size, entry.compress_size)
        with archive.open(entry) as file:
            claimed = _claimed_bytes(file)
        if claimed > entry.file_size:
            raise ValueError(
                f"its array {entry.filename} claims {claimed:.3g} bytes and has {entry.file_size}"
            )


def check_claim(name: str, claimed: float, stored: float) -> None:
    """Refuse an array of so many bytes that far fewer are stored of.

    Raises
    ------
    ValueError
        If it was made to fill the memory.
    """
    if claimed > COMPRESSION * max(stored, 1e6 / COMPRESSION):
        raise ValueError(
            f"its array {name} is {stored:.0f} bytes that unfold to {claimed:.3g}, as if it was "
            "made to fill the memory"
        )


def check_free_memory(needed_bytes: float) -> None:
    """Refuse what does not fit into the memory that is free.

    Raises
    ------
    ValueError
        With both numbers.
    """
    free = free_host_memory()
    if needed_bytes > free:
        raise ValueError(
            f"its arrays take {needed_bytes / 1e9:.3g} GB of memory, of which {free / 1e9:.3g} GB "
            "are free; read fewer frames at a time"
        )


def _claimed_bytes(file: IO[bytes]) -> float:
    """Bytes that an array in npy format takes by its header."""
    major, _ = np.lib.format.read_magic(file)
    read = {1: np.lib.format.read_array_header_1_0, 2: np.lib.format.read_array_header_2_0}
    if major not in read:
        raise ValueError(f"it has an array of npy version {major}, and 1 and 2 are read")
    shape, _, dtype = read[major](file)
    if dtype.hasobject:
        return 0.0  # as many bytes as its pickle, which is not read
    if any(length < 0 for length in shape):
        raise ValueError(f"it has an array of shape {shape}")
    return float(math.prod(shape)) * dtype.itemsize
