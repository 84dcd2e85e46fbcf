"""Geometry, charge and spin of an ASE structure, checked."""

from __future__ import annotations

import math
from numbers import Real
from typing import NamedTuple

import numpy as np
import torch
from ase import Atoms
from torch import Tensor

from ase_geomformer.machine.finite import all_finite

# What a structure is taken for when atoms.info does not say: neutral, all electrons paired.
ELECTRON_DEFAULTS = {"charge": 0.0, "spin": 1.0}
# Arrays of up to so many numbers are compared by a copy of their bytes.
FEW_NUMBERS = 4096


class Geometry(NamedTuple):
    """Positions, cell and periodicity of a structure.

    Attributes
    ----------
    positions : Tensor, shape (N, 3), float64, Å
    cell : Tensor, shape (3, 3), float64, Å
        Lattice vectors in rows.
    pbc : Tensor, shape (3,), bool
        Always on the host, as nothing else reads it.
    """

    positions: Tensor
    cell: Tensor
    pbc: Tensor

    def to(self, device: torch.device | str) -> Geometry:
        """Positions and cell on a device, where they go in one transfer."""
        if torch.device(device) == self.positions.device:
            return self
        both = torch.cat([self.positions, self.cell]).to(device)
        return Geometry(both[:-3], both[-3:], self.pbc)


def geometry(atoms: Atoms, device: torch.device | str = "cpu") -> Geometry:
    """Positions, cell and periodic boundaries of a structure, checked.

    Raises
    ------
    ValueError
        If there are no atoms, or a position or cell entry is NaN or infinite.
    """
    if len(atoms) == 0:
        raise ValueError("the structure has no atoms; give an Atoms object with at least one")
    positions = checked_positions(atoms)
    cell = np.array(atoms.cell.array, dtype=np.float64)
    if not all_finite(cell):
        raise ValueError(f"the cell has a NaN or infinite entry: {cell.tolist()}")
    pbc = np.array(atoms.pbc, dtype=bool)
    return Geometry(*map(torch.from_numpy, (positions, cell, pbc))).to(device)


def checked_positions(atoms: Atoms) -> np.ndarray:
    """A copy of the positions (N, 3) in Å; ValueError if one of them is NaN or infinite."""
    positions = np.array(atoms.positions, dtype=np.float64)
    if not all_finite(positions):
        bad = np.flatnonzero(~np.isfinite(positions).all(axis=1))
        where = ", ".join(str(index) for index in bad[:5])
        raise ValueError(
            f"{bad.size} of {len(atoms)} atoms have a NaN or infinite position (index {where}); "
            "look at the structure or at the step that produced it"
        )
    return positions


def electrons(atoms: Atoms) -> dict[str, float]:
    """Total charge (e) and spin multiplicity 2S+1 of a structure, from ``atoms.info``."""
    return {key: info_number(atoms, key, value) for key, value in ELECTRON_DEFAULTS.items()}


def changes(before: Atoms, after: Atoms) -> list[str]:
    """What differs between two structures, of all that potentials depend on.

    Total charge and spin are ``info``; initial charges and magnetic moments do not matter.
    Compared to the bit, which is several times faster than ASE's way.
    """
    own, other = before.arrays, after.arrays
    found = [name for name in ("positions", "numbers") if not _same(own[name], other[name])]
    if not _same(before.cell.array, after.cell.array):
        found.append("cell")
    if not _same(before.pbc, after.pbc):
        found.append("pbc")
    told = not ELECTRON_DEFAULTS.keys().isdisjoint((*before.info, *after.info))
    return [*found, "info"] if told and electrons(before) != electrons(after) else found


def same_form(first: Atoms, second: Atoms) -> bool:
    """Whether two structures have arrays of the same names, shapes and dtypes."""
    own, other = first.arrays, second.arrays
    return own.keys() == other.keys() and all(
        own[name].shape == values.shape and own[name].dtype == values.dtype
        for name, values in other.items()
    )


def _same(before: np.ndarray, after: np.ndarray) -> bool:
    """Whether two arrays are the same, to the bit; those of a few atoms in a microsecond."""
    if before.size > FEW_NUMBERS:
        return np.array_equal(before, after)
    return before.shape == after.shape and before.tobytes() == after.tobytes()


def info_number(atoms: Atoms, key: str, default: float) -> float:
    """A number from ``atoms.info``, whether stored as a Python or NumPy scalar or a 0-d array."""
    given = atoms.info.get(key, default)
    if isinstance(given, Real) and math.isfinite(given):
        return float(given)
    value = np.asarray(given)
    if value.size != 1 or value.dtype.kind not in "iufb" or not np.isfinite(value).all():
        raise ValueError(f"atoms.info[{key!r}] must be one finite number, not {atoms.info[key]!r}")
    return float(value.reshape(()))
