"""Readable names of errors, such as ``forces_mae_meV_per_A``, and of files."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import PurePath

UNITS = {
    "_meV_per_atom_per_ps": "meV/atom/ps",
    "_meV_per_atom": "meV/atom",
    "_meV_per_A": "meV/Å",
    "_eV_per_atom": "eV/atom",
    "_eV_per_A3": "eV/Å³",
    "_eV_per_A": "eV/Å",
    "_meV": "meV",
    "_eV": "eV",
    "_GPa": "GPa",
    "_THz": "THz",
    "_ps": "ps",
    "_fs": "fs",
    "_ms": "ms",
    "_per_K": "1/K",
    "_K": "K",
    "_A": "Å",
}
"""Endings and the units they stand for; the first that fits is taken, so longer ones come first."""

ACRONYMS = {"mae": "MAE", "rmse": "RMSE", "nve": "NVE", "nvt": "NVT", "npt": "NPT"}


def readable(name: str) -> tuple[str, str]:
    """A name in words, and its unit; an empty string without one.

    >>> readable("forces_mae_meV_per_A")
    ('forces MAE', 'meV/Å')
    """
    unit = ""
    for ending, symbol in UNITS.items():
        if name.endswith(ending):
            name, unit = name.removesuffix(ending), symbol
            break
    words = [ACRONYMS.get(word, word) for word in name.split("_")]
    return " ".join(words), unit


def heading(name: str) -> str:
    """A name in words with its unit in brackets, for the head of a column."""
    words, unit = readable(name)
    return f"{words} ({unit})" if unit else words


def short_names(files: Iterable[str]) -> dict[str, str]:
    """The last parts of file paths, as many as needed to distinguish them.

    >>> short_names(["/data/new/water.xyz", "/data/old/water.xyz"])
    {'/data/new/water.xyz': 'new/water.xyz', '/data/old/water.xyz': 'old/water.xyz'}
    """
    parts = {file: PurePath(file).parts for file in files}
    deepest = max(map(len, parts.values()), default=0)
    for depth in range(1, deepest + 1):
        names = {file: "/".join(own[-depth:]) for file, own in parts.items()}
        if len(set(names.values())) == len(names):
            return names
    return {file: file for file in parts}
