"""Reading labelled structures: one reader per kind of file, chosen by the suffix."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import ase.db
import ase.io
from ase import Atoms

from ase_geomformer.data.frames import Frame
from ase_geomformer.data.labels import DataError, Record, frames_from_records
from ase_geomformer.data.npz import read_npz
from ase_geomformer.data.public.places import find_data_file
from ase_geomformer.data.sources import DataSettings
from ase_geomformer.machine.bounded_structures import OPENERS, check_structure_file
from ase_geomformer.runs.reader import check_order, read_xyz

HEADER_LINES = 2
Reader = Callable[[Path, DataSettings], Iterator[Record]]


def read_frames(settings: DataSettings) -> list[Frame]:
    """All frames of the files named by the settings, converted to eV, Å and e and checked.

    Raises
    ------
    FileNotFoundError
        If a file is not there.
    DataError
        If a file is empty or cannot be read, a key asked for is absent in every frame, a label
        is NaN, infinite or of a wrong shape, a frame has no atoms, or the selection leaves no
        frame. The message names file, key and frame, and how many more there are.

    Warns
    -----
    DataWarning
        Of frames left out because ``skip_damaged`` says so, and of what is possible but looks
        wrong: see :mod:`ase_geomformer.data.plausibility`.
    """
    records = [record for path in settings.paths for record in read_records(path, settings)]
    return frames_from_records(records, settings)


def read_records(name: str, settings: DataSettings) -> list[Record]:
    """The frames of one file as the file has them; at least one."""
    path = find_data_file(name)
    if path.stat().st_size == 0:
        raise DataError(f"{path}: the file is empty")
    plain = path.with_suffix("") if path.suffix.lower() in OPENERS else path
    reader = READERS.get(plain.suffix.lower(), read_ase)
    try:
        check_structure_file(path)
        records = list(reader(path, settings))
    except DataError as error:
        raise DataError(f"{path}: {error}") from None
    except Exception as error:  # readers of foreign formats raise anything on damaged files
        raise DataError(
            f"{path}: cannot be read ({type(error).__name__}: {error}); "
            "is it complete, and in the format of its suffix?"
        ) from error
    if not records:
        raise DataError(f"{path}: contains no frames")
    return records


def read_ase(path: Path, settings: DataSettings) -> Iterator[Record]:
    """Yield what ase.io.read makes of a file: traj, json, outputs of codes."""
    for index, atoms in enumerate(ase.io.read(path, index=":")):
        check_order(atoms)
        yield Record(atoms, stored_values(atoms), str(path), index)


def read_extxyz(path: Path, settings: DataSettings) -> Iterator[Record]:
    """Yield the frames of an extxyz file.

    It is decompressed before it is parsed: ASE goes back and forth in the file, which in an xz
    stream means to start over for every frame (400 s instead of 0.5 s for 1650 crystals).
    """
    opener = OPENERS.get(path.suffix.lower(), open)
    with opener(path, "rt", encoding="utf-8") as stream:
        text = stream.read()
    structures = read_xyz(text)
    lines_read = sum(len(atoms) + HEADER_LINES for atoms in structures)
    lines_there = len(text.rstrip().splitlines())
    if lines_read < lines_there:
        raise DataError(
            f"frames end at line {lines_read} of {lines_there}; is there an empty line?"
        )
    for index, atoms in enumerate(structures):
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


READERS: dict[str, Reader] = {
    ".npz": read_npz,
    ".db": read_db,
    ".xyz": read_extxyz,
    ".extxyz": read_extxyz,
}
"""Readers by suffix, without that of the compression; all others go to ase.io.read."""
