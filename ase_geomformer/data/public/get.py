"""Fetching a data set from its origin."""

from __future__ import annotations

import tempfile
import urllib.error
import urllib.request
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from http.client import HTTPException
from pathlib import Path

from ase_geomformer.data.public.converters import CONVERTERS, SOURCE_BYTES
from ase_geomformer.data.public.rows import DATA_SETS, DataFile, DataSet
from ase_geomformer.machine.files import atomic_file, expanded
from ase_geomformer.machine.version import package_version

SCHEMES = ("https://", "http://", "file://")
TIMEOUT_S = 30.0
# Small files, where waiting takes longer than the transfer.
AT_ONCE = 8


def get_files(
    name: str,
    place: Path,
    source: str | None = None,
    *,
    overwrite: bool = False,
    tell: Callable[[str], None] = lambda _: None,
) -> dict[Path, bool]:
    """Put a data set, or one file of it, into a folder of data sets.

    Parameters
    ----------
    name : str
        A name of :data:`~ase_geomformer.data.public.rows.DATA_SETS`, or ``SET/FILE``.
    place : path
        Folder of data sets; the files are put into a folder of the set's name.
    source : str, optional
        Instead of the origin: a folder with the origin's files under the same paths, such as a
        checkout, or the address of one.
    overwrite : bool
        Fetch files that are there already.
    tell : callable
        Is given a line for each step that takes a while.

    Returns
    -------
    dict
        The files, and for each whether it was fetched now.

    Raises
    ------
    ConnectionError
        If a file cannot be fetched.
    ValueError
        If there is no such name, or a file is not what was published.
    """
    row, files = asked(name)
    made = {}
    for file in files:
        target = place / row.name / file.name
        made[target] = fetch = overwrite or not target.is_file()
        if fetch:
            tell(f"Fetching {row.name}/{file.name}")
            _get(row, file, target, source)
    return made


def asked(name: str) -> tuple[DataSet, tuple[DataFile, ...]]:
    """The set of a name, and those of its files that are meant."""
    data_set, _, one = name.partition("/")
    if data_set not in DATA_SETS:
        raise ValueError(f"there is no data set {data_set!r}; known are {', '.join(DATA_SETS)}")
    row = DATA_SETS[data_set]
    files = tuple(file for file in row.files if one in ("", file.name))
    if not files:
        raise ValueError(
            f"{data_set} has no file {one!r}, but {', '.join(file.name for file in row.files)}"
        )
    return row, files


def _get(row: DataSet, file: DataFile, target: Path, source: str | None) -> None:
    """Fetch the sources of a file, and make it of them, whole or not at all."""
    base = source if source is not None else file.base
    with tempfile.TemporaryDirectory() as temporary:
        # Some origins have several files of one name, in several folders.
        places = [Path(temporary) / str(i) / Path(path).name for i, path in enumerate(file.sources)]
        with ThreadPoolExecutor(AT_ONCE) as threads:
            list(threads.map(partial(_fetch, base), file.sources, places))
        with atomic_file(target) as temporary_file:
            try:
                CONVERTERS[file.converter](places, temporary_file, row.name, file)
            except (KeyError, TypeError, IndexError, AttributeError, SyntaxError) as error:
                raise ValueError(
                    f"{row.name}/{file.name}: what was fetched from {base} is not in the format "
                    f"of the origin ({type(error).__name__}: {error})"
                ) from error
            except ValueError as error:
                raise ValueError(f"{row.name}/{file.name}: {error}") from error


def _fetch(base: str, path: str, target: Path) -> None:
    """One file, from a folder or an address."""
    target.parent.mkdir(parents=True)
    if not base.startswith(SCHEMES):
        base = expanded(base).resolve().as_uri()
    address = f"{base.rstrip('/')}/{path}"
    request = urllib.request.Request(
        address, headers={"User-Agent": f"ase-geomformer/{package_version()}"}
    )
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_S) as stream:
            content = stream.read(SOURCE_BYTES + 1)
    except (OSError, HTTPException) as error:
        reason = getattr(error, "reason", None) or error
        raise ConnectionError(
            f"{address} could not be fetched: {reason}. Without network, fetch the files elsewhere "
            "and give their folder with --from"
        ) from error
    if len(content) > SOURCE_BYTES:
        raise ValueError(f"{address} is larger than {SOURCE_BYTES / 1e6:.0f} MB, which no file is")
    target.write_bytes(content)
