"""Space groups of structures."""

from __future__ import annotations

from typing import Any

from ase import Atoms


def symmetry_dataset(atoms: Atoms, symprec_A: float) -> Any:
    """The symmetry dataset of spglib; None for structures that are not crystals."""
    import spglib

    if not len(atoms) or not atoms.pbc.all() or atoms.cell.rank < 3:
        return None
    cell = (atoms.cell.array, atoms.get_scaled_positions(), atoms.numbers)
    try:
        return spglib.get_symmetry_dataset(cell, symprec=symprec_A)
    except spglib.SpglibError:
        return None


def space_group(atoms: Atoms, symprec_A: float) -> str | None:
    """Space group as "Fm-3m (225)"; None where there is none."""
    found = symmetry_dataset(atoms, symprec_A)
    return None if found is None else f"{found.international} ({found.number})"
