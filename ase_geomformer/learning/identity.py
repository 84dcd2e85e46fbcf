"""What makes two structures one and the same to a teacher."""

from __future__ import annotations

import hashlib

import numpy as np
from ase import Atoms

# As many decimals as extended XYZ keeps, so that a structure is known again from its file.
DECIMALS = 8
KEY_LENGTH = 32


def structure_key(atoms: Atoms) -> str:
    """Hash of elements, positions, periodic cell vectors, total charge, spin and magnetic moments.

    Parameters
    ----------
    atoms : ase.Atoms

    Returns
    -------
    str
        32 hexadecimal digits. Numbers count to 1e-8 of their unit.
    """
    pbc = atoms.get_pbc()
    digest = hashlib.sha256()
    digest.update(np.asarray(atoms.numbers, dtype=np.int64).tobytes())
    digest.update(pbc.astype(np.uint8).tobytes())
    # Cell vectors without periodicity hold nothing but empty space.
    for values in (atoms.positions, atoms.cell.array * pbc[:, None]):
        digest.update(_rounded(values))
    digest.update(_rounded(electronic_state(atoms)))
    moments = atoms.get_initial_magnetic_moments()
    if moments.any():
        digest.update(_rounded(moments))
    return digest.hexdigest()[:KEY_LENGTH]


def electronic_state(atoms: Atoms) -> tuple[float, float]:
    """Total charge in e and spin multiplicity 2S+1 of a structure, by its ``info``.

    Raises
    ------
    ValueError
        If one is not a number.
    """
    try:
        return float(atoms.info.get("charge", 0.0)), float(atoms.info.get("spin", 1.0))
    except (TypeError, ValueError):
        raise ValueError(
            f"info['charge'] and info['spin'] of {atoms.symbols} must be numbers, not "
            f"{atoms.info.get('charge')!r} and {atoms.info.get('spin')!r}"
        ) from None


def _rounded(values: object) -> bytes:
    return np.rint(np.asarray(values, dtype=np.float64) * 10.0**DECIMALS).astype(np.int64).tobytes()
