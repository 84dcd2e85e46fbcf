"""What extended XYZ does not keep of a structure, and the file beside it that does.

The format knows which coordinates of which atoms are fixed, and no other constraint. A structure
that has others is written a second time in ASE's own format, and a mark in the first file has its
reader told.
"""

from __future__ import annotations

import warnings
from pathlib import Path, PurePath

from ase import Atoms

_KEPT = ("FixAtoms", "FixCartesian")
# The entry of ``info`` that names what was left out.
MARK = "constraints_left_out"


def whole_file(name: str) -> str | None:
    """The file beside an extended XYZ file that keeps everything; None for other formats."""
    path = PurePath(name)
    return str(path.with_suffix(".traj")) if path.suffix == ".extxyz" else None


def left_out(atoms: Atoms) -> list[str]:
    """Names of the constraints that extended XYZ does not keep."""
    names = {type(constraint).__name__ for constraint in atoms.constraints}
    return sorted(names - set(_KEPT))


def marked(atoms: Atoms) -> Atoms:
    """The structure as it is to be written to extended XYZ."""
    names = left_out(atoms)
    if not names:
        return atoms
    copy = atoms.copy()
    copy.calc = atoms.calc
    copy.info[MARK] = " ".join(names)
    return copy


def warn_if_marked(atoms: Atoms, file: Path) -> None:
    """Warn of constraints that the file does not have; the mark is removed."""
    names = atoms.info.pop(MARK, None)
    if not names:
        return
    whole = Path(whole_file(str(file)) or file)
    remedy = f"read {whole.name} beside it" if whole.exists() else "set them again"
    warnings.warn(
        f"{file.name} was written without the constraints {names} of its structure, which extended "
        f"XYZ does not keep; {remedy} to go on with them",
        stacklevel=2,
    )
