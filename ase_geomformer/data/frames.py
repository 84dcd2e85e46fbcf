"""Structures with the results of a reference calculation."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from ase import Atoms
from ase.data import chemical_symbols
from numpy.typing import NDArray

from ase_geomformer.machine.display import Table

TARGETS = ("energy", "forces", "stress", "charges", "dipole")
"""Every kind of label a frame may carry."""


@dataclass(frozen=True, eq=False)
class Frame:
    """A structure and its labels, None where the reference has none.

    Attributes
    ----------
    atoms : ase.Atoms
        Positions in Å, without calculator and constraints; ``info`` keeps the scalar entries.
    energy : float or None
        Total energy, eV.
    forces : ndarray, shape (N, 3), or None
        eV/Å.
    stress : ndarray, shape (3, 3), or None
        (1/V) dE/d(strain), eV/Å^3, tension positive.
    charges : ndarray, shape (N,), or None
        Partial charges, e.
    dipole : ndarray, shape (3,), or None
        e Å.
    source : str
        The file it comes from.
    index : int
        Its place in that file, counted from 0 before any selection.
    """

    atoms: Atoms
    energy: float | None = None
    forces: NDArray[np.float64] | None = None
    stress: NDArray[np.float64] | None = None
    charges: NDArray[np.float64] | None = None
    dipole: NDArray[np.float64] | None = None
    source: str = "memory"
    index: int = 0

    @property
    def where(self) -> str:
        """File and index of the frame, for messages."""
        return f"{self.source}, frame {self.index}"

    @property
    def is_isolated_atom(self) -> bool:
        """Whether the frame gives the energy of a free atom.

        One atom alone is not enough, since a primitive cell may hold just one: it must have
        open boundaries or say so by ``config_type`` (IsolatedAtom or isolated_atom).
        """
        name = str(self.atoms.info.get("config_type", "")).replace("_", "").lower()
        return len(self.atoms) == 1 and (name == "isolatedatom" or not self.atoms.pbc.any())


def geometry_checksum(frames: Iterable[Frame]) -> str:
    """SHA-256 of the geometries alone: elements, positions, cells and periodicity, in order."""
    digest = hashlib.sha256()
    for frame in frames:
        atoms = frame.atoms
        digest.update(np.int64(len(atoms)).tobytes())
        digest.update(atoms.get_atomic_numbers().astype(np.int64).tobytes())
        digest.update(atoms.get_positions().astype(np.float64).tobytes())
        digest.update(atoms.cell.array.astype(np.float64).tobytes())
        digest.update(atoms.pbc.astype(np.uint8).tobytes())
    return digest.hexdigest()


def elements(frames: Iterable[Frame]) -> tuple[str, ...]:
    """Symbols of all elements present, in the order of the periodic table."""
    numbers: set[int] = set()
    for frame in frames:
        numbers.update(frame.atoms.get_atomic_numbers().tolist())
    return tuple(chemical_symbols[number] for number in sorted(numbers))


def label_table(sets: Mapping[str, Sequence[Frame]]) -> Table:
    """Table of data sets: size, elements and number of labels of each kind.

    Kinds that no frame has are left out.

    Parameters
    ----------
    sets : mapping of name to frames
        For instance ``{"train": ..., "validation": ...}``; one row each.
    """
    table = Table(title="Labelled structures")
    table.add_column("set")
    for heading in ("frames", "atoms", "per frame"):
        table.add_column(heading, justify="right")
    table.add_column("elements")
    every = [frame for frames in sets.values() for frame in frames]
    found = [t for t in TARGETS if any(getattr(frame, t) is not None for frame in every)]
    for target in found:
        table.add_column(target, justify="right")
    for name, frames in sets.items():
        sizes = [len(frame.atoms) for frame in frames] or [0]
        span = f"{min(sizes)}" if min(sizes) == max(sizes) else f"{min(sizes)}-{max(sizes)}"
        counts = (sum(getattr(frame, t) is not None for frame in frames) for t in found)
        table.add_row(
            name,
            str(len(frames)),
            str(sum(sizes)),
            span,
            " ".join(elements(frames)),
            *(str(count) if count else "-" for count in counts),
        )
    return table
