"""Structures from files, folders, databases and lists."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from ase import Atoms

from ase_geomformer.machine.bounded_structures import check_structure_file
from ase_geomformer.machine.files import expanded
from ase_geomformer.runs.reader import read_atoms

StructureSource = str | os.PathLike[str] | Iterable[Atoms]
StructureLike = Atoms | str | os.PathLike[str]


def read_structures(source: StructureSource, index: str = ":") -> tuple[list[Atoms], list[str]]:
    """Structures with a name for each.

    Parameters
    ----------
    source : path or iterable of ase.Atoms
        A folder, whose files are read in the order of their names, or a file in any format that
        ASE reads, an ASE database or a list.
    index : str
        Frames of each file, as in ase.io.read; of a database also a query, such as "natoms<9".

    Returns
    -------
    list of ase.Atoms, list of str
        Names are those in ``info["name"]`` (of a database the key ``name``), or file and frame.

    Raises
    ------
    FileNotFoundError
        If there is no such file or folder.
    ValueError
        If there is no structure, or a file cannot be read.
    """
    if not isinstance(source, str | os.PathLike):
        given = list(source)
        if not given:
            raise ValueError("the list of structures is empty")
        return given, [
            _name(atoms) or f"structure {i} ({atoms.symbols})" for i, atoms in enumerate(given)
        ]
    path = expanded(source)
    if not path.exists():
        raise FileNotFoundError(f"there is no structure file or folder {str(source)!r}")
    files = _files(path) if path.is_dir() else [path]
    structures: list[Atoms] = []
    names: list[str] = []
    for file in files:
        frames = _read(file, index)
        structures += frames
        several = len(frames) > 1
        names += [
            _name(atoms) or (f"{file.name}:{i}" if several else file.name)
            for i, atoms in enumerate(frames)
        ]
    if not structures:
        raise ValueError(f"there are no structures with index {index!r} in {str(source)!r}")
    return structures, names


def read_structure(source: str | os.PathLike[str], index: str, verb: str) -> Atoms:
    """The one structure that a verb takes.

    Raises
    ------
    FileNotFoundError, ValueError
        As :func:`read_structures`, and if there are several.
    """
    structures, _ = read_structures(source, index)
    if len(structures) > 1:
        raise ValueError(
            f"{verb} takes one structure, but there are {len(structures)} with index {index!r} in "
            f"{str(source)!r}; choose one with --index"
        )
    return structures[0]


def as_structure(source: StructureLike) -> Atoms:
    """A structure as it is, or the last one in a file.

    Raises
    ------
    FileNotFoundError, ValueError
        As :func:`read_structures`.
    TypeError
        If it is neither a structure nor a path.
    """
    if isinstance(source, Atoms):
        return source
    if not isinstance(source, str | os.PathLike):
        raise TypeError(f"give a structure or the path of its file, not {type(source).__name__}")
    return read_structures(source, "-1")[0][-1]


def _name(atoms: Atoms) -> str:
    """The name that a structure has of its own; empty if it has none."""
    name = atoms.info.get("name")
    return name if isinstance(name, str) else ""


def _files(folder: Path) -> list[Path]:
    return sorted(file for file in folder.iterdir() if file.is_file() and file.name[0] != ".")


def _read(file: Path, index: str) -> list[Atoms]:
    try:
        check_structure_file(file)
        return read_atoms(file, index)
    except Exception as error:  # each of ASE's readers has errors of its own
        detail = str(error) or "it ends too early"
        raise ValueError(f"cannot read index {index!r} of {str(file)!r}: {detail}") from error
