"""Structures from a file as ASE reads them, with isotopes, and without disorder."""

from __future__ import annotations

import re
from collections.abc import Iterator
from io import StringIO
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms

from ase_geomformer.runs.extxyz import warn_if_marked

# Symbols of hydrogen's isotopes with their masses in amu (CODATA 2018).
ISOTOPES = {"D": 2.014101777844, "T": 3.01604928132}
# Files of ASE's databases.
DATABASES = (".db", ".json")
# A site that is occupied to less than this is disordered.
_FULL = 0.999


def read_atoms(file: Path, index: str) -> list[Atoms]:
    """Frames of a file.

    ``D`` and ``T`` in XYZ and extended XYZ are hydrogen with the masses of its isotopes.

    Parameters
    ----------
    file : Path
    index : str
        As in ase.io.read.

    Raises
    ------
    ValueError
        If a site is occupied in part, or a symbol is of an isotope that the format does not have.
    Exception
        Whatever ASE's reader raises.
    """
    from ase.io import read, string2index

    if file.suffix in DATABASES:
        return _read_rows(file, index)
    try:
        found: Any = read(file, index=index)
    except KeyError as error:
        if error.args[0] not in ISOTOPES:
            raise
        if file.suffix not in (".xyz", ".extxyz"):
            raise ValueError(
                f"the symbol {error.args[0]} is no element of this format; write H, and give the "
                "atoms their mass with atoms.set_masses"
            ) from error
        found = _with_isotopes(file.read_text(encoding="utf-8"))[string2index(index)]
    frames = found if isinstance(found, list) else [found]
    for atoms in frames:
        check_order(atoms)
        warn_if_marked(atoms, file)
    return frames


def _read_rows(file: Path, index: str) -> list[Atoms]:
    """Rows of an ASE database by their places or by a query, with what they are called."""
    from ase.db import connect
    from ase.io import string2index

    try:
        chosen: Any = string2index(index)
    except ValueError:
        chosen = index
    if isinstance(chosen, str):
        rows = list(connect(file).select(chosen))
    else:
        rows = list(connect(file).select())
        rows = rows[chosen] if isinstance(chosen, slice) else [rows[chosen]]
    frames = []
    for row in rows:
        atoms: Atoms = row.toatoms()
        atoms.info.update(row.key_value_pairs)
        frames.append(atoms)
    return frames


def read_xyz(text: str) -> list[Atoms]:
    """All frames of a text in XYZ or extended XYZ, with isotopes as in :func:`read_atoms`."""
    from ase.io import read

    try:
        frames: Any = read(StringIO(text), index=":", format="extxyz")
    except KeyError as error:
        if error.args[0] not in ISOTOPES:
            raise
        frames = _with_isotopes(text)
    return list(frames)


def check_order(atoms: Atoms) -> None:
    """Refuse a structure with sites that are occupied in part.

    Raises
    ------
    ValueError
        If there is one; the message names its occupation.
    """
    sites = dict(atoms.info.get("occupancy") or {})  # as the CIF reader has it
    for site, held in sites.items():
        if min(held.values()) < _FULL:
            listed = " and ".join(f"{symbol} ({part:g})" for symbol, part in held.items())
            raise _disorder(f"site {site}", listed)
    parts = atoms.arrays.get("occupancy")  # as the PDB reader has it
    if parts is not None and ((parts > 0) & (parts < _FULL)).any():
        first = int(np.flatnonzero((parts > 0) & (parts < _FULL))[0])
        raise _disorder(f"atom {first}", f"{atoms.symbols[first]} ({parts[first]:g})")


def _disorder(place: str, listed: str) -> ValueError:
    return ValueError(
        f"{place} is occupied in part, by {listed}; a disordered structure has no single energy: "
        "build an ordered cell, such as a supercell with whole atoms on its sites"
    )


def _with_isotopes(text: str) -> Any:
    """Frames of a text in (extended) XYZ with D and T, which ASE does not know."""
    from ase.io import read

    lines, masses = [], []
    for frame in _xyz_frames(iter(text.splitlines(keepends=True))):
        column = _species_column(frame[1])
        found = {}
        for number, line in enumerate(frame[2:]):
            words = line.split()
            if len(words) > column and words[column] in ISOTOPES:
                found[number] = ISOTOPES[words[column]]
                words[column] = "H"
                frame[2 + number] = " ".join(words) + "\n"
        lines += frame
        masses.append(found)
    frames: Any = read(StringIO("".join(lines)), index=":", format="extxyz")
    for atoms, heavy in zip(frames, masses, strict=True):
        if heavy:
            own = atoms.get_masses()
            own[list(heavy)] = list(heavy.values())
            atoms.set_masses(own)
    return frames


def _xyz_frames(lines: Iterator[str]) -> Iterator[list[str]]:
    """The lines of each frame: count, comment, atoms."""
    for first in lines:
        if first.strip():
            yield [first, *islice(lines, 1 + int(first))]


def _species_column(comment: str) -> int:
    """The column of the symbols, by the comment line of extended XYZ."""
    found = re.search(r'Properties="?([\w:]+)', comment)
    if not found:
        return 0
    words = found.group(1).split(":")
    column = 0
    for name, _, count in zip(words[::3], words[1::3], words[2::3], strict=True):
        if name == "species":
            return column
        column += int(count)
    return 0
