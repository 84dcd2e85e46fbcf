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


def conventional_cell(atoms: Atoms, symprec_A: float, *, primitive: bool = False) -> Atoms:
    """The conventional cell of a crystal, or its primitive one, not rotated.

    Raises
    ------
    ValueError
        If no symmetry is found.
    """
    import spglib

    cell = (atoms.cell.array, atoms.get_scaled_positions(), atoms.numbers)
    found = spglib.standardize_cell(
        cell, to_primitive=primitive, no_idealize=True, symprec=symprec_A
    )
    if found is None:
        raise ValueError(
            f"spglib finds no symmetry of {atoms.symbols} within symprec_A = {symprec_A:g} Å; "
            "change symprec_A"
        )
    return Atoms(numbers=found[2], scaled_positions=found[1], cell=found[0], pbc=True)


def space_group(atoms: Atoms, symprec_A: float) -> str | None:
    """Space group as "Fm-3m (225)"; None where there is none."""
    found = symmetry_dataset(atoms, symprec_A)
    return None if found is None else f"{found.international} ({found.number})"
