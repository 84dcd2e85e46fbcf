"""Structures of ASE as LAMMPS holds them: box, orientation and atom types."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms, units
from ase.calculators.lammps import Prism
from ase.data import chemical_symbols
from numpy.typing import NDArray

from ase_geomformer.machine.files import atomic_file

# Å around open structures without a cell; the box of LAMMPS follows the atoms.
_MARGIN = 5.0


@dataclass(frozen=True, eq=False)
class AtomTypes:
    """Atom types of LAMMPS, each of one element and one mass: isotopes have types of their own.

    Attributes
    ----------
    elements : list of str
        Of each type.
    masses : list of float
        Of each type, amu.
    of_atoms : array of int, shape (N,)
        Types of the atoms, from 1 on.
    """

    elements: list[str]
    masses: list[float]
    of_atoms: NDArray[np.int64]

    def commands(self) -> list[str]:
        """LAMMPS' commands that set the masses."""
        return [f"mass {number} {mass!r}" for number, mass in enumerate(self.masses, 1)]


def atom_types(atoms: Atoms) -> AtomTypes:
    """The types of atoms, ordered by element and mass."""
    kinds = list(zip(atoms.symbols, atoms.get_masses().tolist(), strict=True))
    types = sorted(set(kinds))
    numbers = [types.index(kind) + 1 for kind in kinds]
    return AtomTypes(
        [element for element, _ in types], [mass for _, mass in types], np.array(numbers)
    )


def rotation(atoms: Atoms) -> Prism:
    """What turns vectors of these atoms to the orientation of LAMMPS and back."""
    return Prism(atoms.cell.array, pbc=atoms.pbc)


def boxed(atoms: Atoms) -> Atoms:
    """A structure with a whole cell: directions without one get a box around the atoms."""
    atoms = atoms.copy()
    if atoms.cell.rank < 3:
        if atoms.pbc.any():
            atoms.set_cell(atoms.cell.complete())
        extent = np.ptp(atoms.positions, axis=0) + 2.0 * _MARGIN
        if not atoms.pbc.any():
            atoms.set_cell(extent)
            atoms.positions += _MARGIN - atoms.positions.min(axis=0)
    return atoms


def write_structure(path: Path, atoms: Atoms) -> None:
    """Write atoms, as :func:`boxed` gives them, in the format and the orientation of LAMMPS.

    Masses are left to :meth:`AtomTypes.commands`.
    """
    from ase.io.lammpsdata import write_lammps_data

    types = atom_types(atoms)
    numbered = atoms.copy()
    velocities = atoms.get_velocities()
    # ASE knows types as elements: the first stands for type 1.
    numbered.numbers = types.of_atoms
    numbered.set_masses("defaults")
    numbered.set_velocities(velocities)
    with atomic_file(path) as temporary:
        write_lammps_data(
            temporary,
            numbered,
            specorder=chemical_symbols[1 : len(types.elements) + 1],
            force_skew=not atoms.cell.orthorhombic,
            velocities=atoms.has("momenta"),
            units="metal",
            atom_style="atomic",
        )


def create_atoms(lmp: Any, atoms: Atoms, boundary: str | None = None) -> list[str]:
    """Make the box and the atoms of a structure in LAMMPS, in the orientation that it wants.

    All processes call it, after LAMMPS' ``units metal`` and ``atom_style``.

    Parameters
    ----------
    lmp : lammps.lammps
        Without a box.
    atoms : ase.Atoms
        With a cell. Velocities are taken where there are momenta, and masses as they are.
    boundary : str, optional
        LAMMPS' boundary; by default "p" where the structure is periodic, else "f".

    Returns
    -------
    list of str
        The elements of the atom types, for :func:`~ase_geomformer.engines.lammps.attach`.

    Raises
    ------
    ValueError
        If the structure has no whole cell.
    """
    if atoms.cell.rank < 3:
        raise ValueError("LAMMPS needs a cell of three vectors: set one, or call atoms.center()")
    types, prism = atom_types(atoms), rotation(atoms)
    xhi, yhi, zhi, xy, xz, yz = prism.get_lammps_prism()
    boundary = boundary or " ".join("p" if periodic else "f" for periodic in atoms.pbc)
    lmp.commands_list([
        f"boundary {boundary}",
        f"region box prism 0 {xhi:.17g} 0 {yhi:.17g} 0 {zhi:.17g} {xy:.17g} {xz:.17g} {yz:.17g}",
        f"create_box {len(types.elements)} box",
        *types.commands(),
    ])  # fmt: skip
    moving = atoms.has("momenta")
    # LAMMPS' velocities are in Å/ps.
    velocities = prism.vector_to_lammps(atoms.get_velocities()) * 1000.0 * units.fs
    lmp.create_atoms(
        len(atoms),
        list(range(1, len(atoms) + 1)),
        types.of_atoms.tolist(),
        prism.vector_to_lammps(atoms.positions, wrap=False).ravel().tolist(),
        v=velocities.ravel().tolist() if moving else None,
    )
    return types.elements
