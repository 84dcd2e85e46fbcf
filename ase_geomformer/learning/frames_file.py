"""Files of structures to label."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from ase import Atoms
from ase.io import write

from ase_geomformer.machine.files import atomic_file, expanded


def new_file(path: str | os.PathLike[str], *, overwrite: bool = False) -> Path:
    """The path of a file to write, refused before any work if it is there already.

    Raises
    ------
    FileExistsError
        If it exists and ``overwrite`` is not set.
    """
    found = expanded(path)
    if found.exists() and not overwrite:
        raise FileExistsError(f"{found} exists; give another name, or allow it to be overwritten")
    return found


def write_structures(path: Path, structures: Sequence[Atoms]) -> None:
    """Write structures as extended XYZ, atomically."""
    with atomic_file(path) as temporary:
        write(temporary, list(structures), format="extxyz")
