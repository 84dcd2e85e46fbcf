"""Reading labelled structures: one reader per kind of file, chosen by the suffix."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import ase.db
import ase.io
from ase import Atoms

from ase_geomformer.training.frames import Frame
from ase_geomformer.training.labels import Record, frames_from_records
from ase_geomformer.training.npz import read_npz
from ase_geomformer.training.sources import DataSettings

Reader = Callable[[Path, DataSettings], Iterator[Record]]


def read_frames(settings: DataSettings) -> list[Frame]:
    """All frames of the files named by the settings, converted to eV, Å and e and checked.

    Raises
    ------
    FileNotFoundError
        If a file is not there.
    ValueError
        If a file is empty or cannot be read, a key asked for is absent in every frame, a label
        is NaN, infinite or of a wrong shape, a frame has no atoms, or the selection leaves no
        frame. The message names file, key and frame.
    """
    records = [record for path in settings.paths for record in read_records(path, settings)]
    return frames_from_records(records, settings)


def read_records(name: str, settings: DataSettings) -> list[Record]:
    """The frames of one file as the file has them; at least one."""
    path = Path(name).expanduser()
    if not path.is_file():
        raise FileNotFoundError(f"no data file {path} (looked from {Path.cwd()})")
    if path.stat().st_size == 0:
        raise ValueError(f"{path}: the file is empty")
    reader = READERS.get(path.suffix.lower(), read_ase)
    try:
        records = list(reader(path, settings))
    except Exception as error:  # readers of foreign formats raise anything on damaged files
        raise ValueError(
            f"{path}: cannot be read ({type(error).__name__}: {error}); "
            "is it complete, and of the kind its suffix says?"
        ) from error
    if not records:
        raise ValueError(f"{path}: holds no frame")
    return records


def read_ase(path: Path, settings: DataSettings) -> Iterator[Record]:
    """Yield what ase.io.read makes of a file: extxyz, traj, outputs of codes, also compressed."""
    for index, atoms in enumerate(ase.io.read(path, index=":")):
        yield Record(atoms, stored_values(atoms), str(path), index)


def read_db(path: Path, settings: DataSettings) -> Iterator[Record]:
    """Yield the rows of an ASE database; key-value pairs and data are values of the frames."""
    with ase.db.connect(path) as database:
        for index, row in enumerate(database.select()):
            atoms = row.toatoms()
            atoms.info.update(row.key_value_pairs)
            yield Record(atoms, {**stored_values(atoms), **row.data}, str(path), index)


def stored_values(atoms: Atoms) -> dict[str, Any]:
    """Everything named in a structure; ASE itself moves plain ``energy`` to a calculator."""
    results = {} if atoms.calc is None else dict(atoms.calc.results)
    return {**results, **atoms.arrays, **atoms.info}


READERS: dict[str, Reader] = {".npz": read_npz, ".db": read_db}
"""Readers by suffix; whatever is not here goes to ase.io.read."""
