"""The user's cache of what takes long to make: tables of numbers, and compiled code.

Compiled code is executed by whoever loads it. It is therefore taken only from a folder that belongs
to the user and that no one else can write to, never from a potential's folder or a download, and
only where its checksum is the one that was written down with it.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import stat
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ase_geomformer.machine.bounded import read_json
from ase_geomformer.machine.files import atomic_folder, expanded

FOLDER_VARIABLE = "ASE_GEOMFORMER_CACHE"
ENTRY_FILE = "entry.json"
# Beyond, what has not been used for longest goes. An artifact takes 5 to 15 MB.
LIMIT_BYTES = 2 * 10**9
WRITABLE_BY_OTHERS = stat.S_IWGRP | stat.S_IWOTH


class CacheError(OSError):
    """The cache cannot be used; the message says why."""


class DamagedEntryError(ValueError):
    """An entry is not what was stored."""


@dataclass(frozen=True)
class Entry:
    """One thing in the cache.

    Attributes
    ----------
    key : str
    folder : Path
        Where its files are.
    about : dict
        What was written down when it was stored.
    size_bytes : int
    used : float
        When it was last used, in seconds since 1970.
    """

    key: str
    folder: Path
    about: dict[str, Any]
    size_bytes: int
    used: float


def cache_folder() -> Path:
    """``$ASE_GEOMFORMER_CACHE``, or ``ase-geomformer`` in the user's cache folder.

    That is ``$XDG_CACHE_HOME``, if it is an absolute path, or ``~/.cache``.
    """
    given = os.environ.get(FOLDER_VARIABLE)
    if given:
        return expanded(given)
    base = Path(os.environ.get("XDG_CACHE_HOME", ""))
    return (base if base.is_absolute() else Path.home() / ".cache") / "ase-geomformer"


class Cache:
    """Things stored under keys, each a folder of files with their checksums beside them.

    Parameters
    ----------
    folder : Path, optional
        :func:`cache_folder` if left out. It is made, for its owner alone, when something is stored.
    limit_bytes : int
        What all entries may take together.
    """

    def __init__(self, folder: Path | None = None, *, limit_bytes: int = LIMIT_BYTES) -> None:
        self.folder = cache_folder() if folder is None else folder
        self.limit_bytes = limit_bytes

    def find(self, key: str) -> Entry | None:
        """What is stored under a key, its checksums verified; None if there is nothing.

        A damaged entry is removed, with a warning.

        Raises
        ------
        CacheError
            If the folder or the entry belongs to another user, or others can write to it.
        """
        place = self.folder / key
        if not place.exists():
            return None
        _check_own(self.folder)
        try:
            entry = _read(place, verify=True)
        except DamagedEntryError as error:
            warnings.warn(f"{place} is damaged and was removed: {error}", stacklevel=2)
            self._remove(place)
            return None
        _touch(place)
        return entry

    def store(self, key: str, about: Mapping[str, Any], write: Callable[[Path], None]) -> Entry:
        """Store what ``write`` puts into a folder, atomically; removes the oldest for room.

        Raises
        ------
        OSError
            If it cannot be written, or the folder is not the user's own.
        """
        self._make_folder()
        place = self.folder / key
        with atomic_folder(place, private=True) as temporary:
            write(temporary)
            sums = {file.name: _sha256(file) for file in sorted(temporary.iterdir())}
            text = json.dumps({"files": sums, "about": dict(about)}, indent=1)
            (temporary / ENTRY_FILE).write_text(text, encoding="utf-8")
            for file in temporary.iterdir():
                file.chmod(0o600)
        self._shrink(keep=key)
        return _read(place, verify=False)

    @contextmanager
    def locked(self, key: str) -> Iterator[bool]:
        """Whether this process is the one that may make what a key stands for; never waits."""
        from filelock import FileLock, Timeout

        self._make_folder()
        lock = FileLock(self.folder / f"{key}.lock", timeout=0)
        try:
            lock.acquire()
        except Timeout:
            yield False
            return
        except NotImplementedError as error:  # a file system without locks
            raise CacheError(f"{self.folder} cannot be locked: {error}") from error
        try:
            yield True
        finally:
            lock.release()

    def entries(self) -> list[Entry]:
        """All entries, the last used first; damaged ones are left out."""
        if not self.folder.is_dir():
            return []
        _check_own(self.folder)
        found = []
        for place in self.folder.iterdir():
            try:
                found.append(_read(place, verify=False))
            except (DamagedEntryError, CacheError):
                continue
        return sorted(found, key=lambda entry: entry.used, reverse=True)

    def clear(self) -> int:
        """Remove everything and return how many bytes that were."""
        if not self.folder.is_dir():
            return 0
        _check_own(self.folder)
        freed = sum(_size(place) for place in self.folder.iterdir())
        for place in self.folder.iterdir():
            self._remove(place)
        return freed

    def _make_folder(self) -> None:
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        self.folder.mkdir(mode=0o700, exist_ok=True)
        _check_own(self.folder)

    def _shrink(self, keep: str) -> None:
        total = 0
        for entry in self.entries():
            total += entry.size_bytes
            if total > self.limit_bytes and entry.key != keep:
                self._remove(entry.folder)

    def _remove(self, place: Path) -> None:
        if place.is_dir() and not place.is_symlink():
            shutil.rmtree(place, ignore_errors=True)
        else:
            place.unlink(missing_ok=True)


def _check_own(path: Path) -> None:
    """Refuse what others could have put there."""
    status = path.lstat()
    if stat.S_ISLNK(status.st_mode):
        raise CacheError(f"{path} is a symbolic link; the cache does not follow links")
    if status.st_uid != os.geteuid():
        raise CacheError(f"{path} belongs to user {status.st_uid}, not to you ({os.geteuid()})")
    if status.st_mode & WRITABLE_BY_OTHERS:
        raise CacheError(f"{path} can be written to by others; remove it, or: chmod go-w {path}")


def _read(place: Path, *, verify: bool) -> Entry:
    """An entry by its folder, with its files compared to their checksums if asked."""
    if place.name.startswith(".") or not place.is_dir():
        raise DamagedEntryError("it is no entry")
    _check_own(place)
    try:
        content = read_json(place / ENTRY_FILE)
        sums, about = dict(content["files"]), dict(content["about"])
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise DamagedEntryError(f"{ENTRY_FILE} cannot be read: {error}") from error
    for name, expected in sums.items() if verify else ():
        file = place / name
        if file.parent != place or not file.is_file():
            raise DamagedEntryError(f"{name} is missing")
        _check_own(file)
        if _sha256(file) != expected:
            raise DamagedEntryError(f"{name} has changed since it was stored")
    return Entry(place.name, place, about, _size(place), place.stat().st_mtime)


def _touch(place: Path) -> None:
    """Note that an entry was used; a file system that is read-only now keeps the older time."""
    with suppress(OSError):
        os.utime(place)


def _size(place: Path) -> int:
    files = place.rglob("*") if place.is_dir() else [place]
    return sum(file.lstat().st_size for file in files)


def _sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
