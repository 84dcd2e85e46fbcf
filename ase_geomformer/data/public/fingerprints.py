"""Fingerprints of labelled frames: numbers by which a converted frame is recognised.

A checksum of a file says nothing about a conversion, and rounding changes a checksum of numbers.
A fingerprint is four sums, over energy, geometry, forces and stress with weights that never cancel,
and is compared with a tolerance: a coordinate, force or stress that is wrong, or in another order,
changes it.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import resources

import numpy as np
from numpy.typing import NDArray

from ase_geomformer.data.frames import Frame

# Largest difference; files of 8 decimals and float32 arrays differ by less, in the sums as well.
TOLERANCE = 1e-3
# An entry of a stress tensor in eV/Å^3 is a hundred times smaller than a force in eV/Å.
STRESS_SCALE = 100.0


def fingerprint(frame: Frame) -> NDArray[np.float64]:
    """Four numbers of a frame, shape (4,), in eV and Å."""
    atoms = frame.atoms
    geometry = np.concatenate([atoms.numbers, atoms.positions.ravel(), atoms.cell.array.ravel()])
    forces = np.zeros(0) if frame.forces is None else frame.forces
    stress = np.zeros(0) if frame.stress is None else frame.stress * STRESS_SCALE
    return np.array([frame.energy or 0.0, *map(_weighted, (geometry, forces, stress))])


def _weighted(values: NDArray[np.float64]) -> float:
    return float(values.ravel() @ np.cos(np.arange(values.size)))


def stored(data_set: str, key: str) -> NDArray[np.float64]:
    """The fingerprints of a file's frames, in the order of the file, shape (frames, 4)."""
    place = resources.files(__package__) / "fingerprints" / f"{data_set}.npz"
    with place.open("rb") as stream, np.load(stream, allow_pickle=False) as archive:
        return np.asarray(archive[key], dtype=np.float64)


def matched(frames: Sequence[Frame], expected: NDArray[np.float64]) -> list[Frame]:
    """The frames that are expected, in that order; others, such as duplicates, are left out.

    Raises
    ------
    ValueError
        If a frame that is expected is not there.
    """
    found = np.array([fingerprint(frame) for frame in frames]).reshape(-1, 4)
    chosen = []
    for index, wanted in enumerate(expected):
        fits = np.flatnonzero((np.abs(found - wanted) < TOLERANCE).all(axis=1))
        if not len(fits):
            raise ValueError(
                f"frame {index} of {len(expected)} is not among the {len(frames)} frames "
                "of the origin, or differs from what was published; nothing of it is used"
            )
        chosen.append(frames[fits[0]])
    return chosen
