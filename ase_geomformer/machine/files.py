"""Atomic writing of files and folders."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


def expanded(path: str | os.PathLike[str]) -> Path:
    """The path with ``~`` and ``~user`` replaced by their home directories.

    Raises
    ------
    FileNotFoundError
        If there is no such user.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise FileNotFoundError(
            f"{os.fspath(path)!r} begins with the home directory of a user who does not exist"
        ) from error


# In the names of what is being written, which no user gives to a file.
_PARTIAL = ".partial"
_OUTGOING = "-old"
# Between its two moves a living process takes far less.
_UNDER_WAY_S = 2.0


@contextmanager
def atomic_file(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give a temporary path to write to, and move it to ``path`` if all went well.

    The suffix is kept, so that writers which choose a format by it still do.
    """
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(
        prefix=f".{target.stem}-", suffix=_PARTIAL + target.suffix, dir=target.parent
    )
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        # mkstemp makes files only their owner can read; give the usual permissions back.
        temporary.chmod(0o666 & ~_umask())
        _to_disk(temporary)
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


def remove_leftovers(folder: Path) -> None:
    """Remove what killed processes left of writing in a folder by the functions of this module.

    No other process may write into it meanwhile.
    """
    recover_folders(folder, alone=True)
    for left in folder.glob(f".*{_PARTIAL}*"):
        if left.is_dir():
            shutil.rmtree(left)
        else:
            left.unlink(missing_ok=True)


@contextmanager
def atomic_folder(
    path: str | os.PathLike[str], *, private: bool = False, replaces: Collection[str] | None = None
) -> Iterator[Path]:
    """Give a temporary folder to fill, and move it to ``path``, in place of what was there.

    Others can read it, as far as the process's file mode allows, unless it is ``private``. A
    process that is killed between the two moves leaves both folders beside the path, from which
    :func:`recover_folder` makes it whole.

    Parameters
    ----------
    path : path
    private : bool
    replaces : collection of str, optional
        The names that are this writer's to replace: everything else that the folder holds stays.
        Left out, the folder is replaced as a whole.
    """
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    recover_folder(target)
    temporary = Path(
        tempfile.mkdtemp(prefix=f".{target.name}-", suffix=_PARTIAL, dir=target.parent)
    )
    outgoing = temporary.with_name(temporary.name + _OUTGOING)
    try:
        yield temporary
        if not private:
            temporary.chmod(0o777 & ~_umask())
        for file in temporary.iterdir():
            if file.is_file() and not file.is_symlink():
                _to_disk(file)
        if target.exists():
            if replaces is not None:
                _keep_others(target, temporary, set(replaces))
            target.replace(outgoing)
        temporary.replace(target)
    finally:
        if outgoing.exists() and not target.exists():
            outgoing.replace(target)
        shutil.rmtree(temporary, ignore_errors=True)
        shutil.rmtree(outgoing, ignore_errors=True)


def recover_folder(path: str | os.PathLike[str], *, alone: bool = False) -> None:
    """Finish what a killed process began: the folder is replaced as a whole, or as it was.

    Nothing is done where the folder is there, or where its replacement may be under way; it cannot
    be if this process is the only one that writes there (``alone``).
    """
    target = Path(path)
    if target.exists() or not target.parent.is_dir():
        return
    for outgoing in sorted(target.parent.glob(f".{target.name}-*{_OUTGOING}")):
        if not alone and time.time() - outgoing.stat().st_ctime < _UNDER_WAY_S:
            continue
        incoming = outgoing.with_name(outgoing.name.removesuffix(_OUTGOING))
        # The new folder was complete before the old one was moved away.
        with suppress(FileNotFoundError):  # another process was faster
            (incoming if incoming.exists() else outgoing).rename(target)
        shutil.rmtree(outgoing, ignore_errors=True)
        return


def recover_folders(parent: Path, *, alone: bool = False) -> None:
    """Finish what killed processes began in a folder of folders, see :func:`recover_folder`."""
    for outgoing in parent.glob(f".*{_OUTGOING}"):
        name = outgoing.name[1:].rsplit("-", maxsplit=2)[0]
        recover_folder(parent / name, alone=alone)


def _to_disk(file: Path) -> None:
    """Have the content on the disk: a power failure could leave an empty file under the name."""
    with file.open("rb") as opened:
        os.fsync(opened.fileno())


def _keep_others(old: Path, new: Path, replaced: set[str]) -> None:
    """Give the new folder all that the old one holds and the new one is not to replace."""
    for entry in old.iterdir():
        if entry.name in replaced or (new / entry.name).exists():
            continue
        if entry.name.startswith(".") and _PARTIAL in entry.name:
            continue  # half written by a process that was killed
        if entry.is_dir() and not entry.is_symlink():
            shutil.copytree(entry, new / entry.name, symlinks=True)
        else:
            shutil.copy2(entry, new / entry.name, follow_symlinks=False)


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write a text file atomically, in UTF-8."""
    with atomic_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _umask() -> int:
    """The process's file-mode mask; the system offers no way to read it without setting it."""
    mask = os.umask(0o022)
    os.umask(mask)
    return mask
