"""Structures of a run for the three-dimensional view of its page."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.data import atomic_numbers, covalent_radii
from ase.data.colors import jmol_colors

from ase_geomformer.machine.bounded import check_regular
from ase_geomformer.machine.bounded_structures import check_structure_file, read_checked
from ase_geomformer.md.h5md import atom_datasets, boundary, frame_datasets, opened

# Files with structures of a run, the most telling first.
_FILES = (
    "trajectory.traj", "trajectory.h5md", "trajectory.extxyz", "images.traj", "relaxed.extxyz",
    "scan.traj", "final.extxyz",
)  # fmt: skip
# Frames of the view, and atoms of all frames together: some 2 MB.
MOST_FRAMES = 60
MOST_ATOMS = 60_000
# A crystal of up to so many atoms is shown as two by two by two cells.
_SMALL_CELL = 8
# Text that is larger takes too long to read for a picture.
_MOST_TEXT_BYTES = 1e8


def frames_of(folder: Path) -> tuple[list[Atoms], str]:
    """Frames of a run spread evenly over it, and the file they are from; none if there is none.

    Raises
    ------
    Exception
        What the reader of a damaged file raises.
    """
    for name in _FILES:
        path = folder / name
        if path.exists():
            frames = _read(path)
            if frames:
                return frames, name
    return [], ""


def view(frames: Sequence[Atoms]) -> dict[str, Any]:
    """What the view of a page is drawn from.

    Parameters
    ----------
    frames : sequence of ase.Atoms
        One at least; those with other atoms than the first are left out.

    Raises
    ------
    ValueError
        If there are too many atoms.
    """
    first = frames[0]
    if len(first) > MOST_ATOMS:
        raise ValueError(
            f"{len(first)} atoms are too many for a view; up to {MOST_ATOMS} are shown"
        )
    shown = [atoms for atoms in frames if np.array_equal(atoms.numbers, first.numbers)]
    shown = shown[:: max(1, -(-len(shown) * len(first) // MOST_ATOMS))]
    cell = np.array(first.cell) if first.pbc.any() else None
    if first.pbc.all() and len(first) <= _SMALL_CELL:
        shown = [atoms.repeat(2) for atoms in shown]  # one atom tells nothing of a crystal
        first = shown[0]
    symbols = sorted(set(first.symbols), key=lambda symbol: atomic_numbers[symbol])
    return {
        "symbols": list(first.symbols),
        "elements": {symbol: _look(symbol) for symbol in symbols},
        "cell": None if cell is None else np.round(cell, 4).tolist(),
        "frames": [np.round(atoms.positions, 3).tolist() for atoms in shown],
    }


def _look(symbol: str) -> dict[str, Any]:
    """Colour and covalent radius in Å of an element."""
    number = atomic_numbers[symbol]
    red, green, blue = (int(255 * part) for part in jmol_colors[number])
    return {"colour": f"rgb({red},{green},{blue})", "radius": float(covalent_radii[number])}


def _read(path: Path) -> list[Atoms]:
    if path.suffix == ".h5md":
        return _from_h5md(path)
    if path.suffix == ".traj":
        from ase.io.trajectory import Trajectory

        check_structure_file(path)
        with Trajectory(path) as file:
            return [file[i] for i in _spread(len(file))]
    if check_regular(path) > _MOST_TEXT_BYTES:
        return []
    found = read_checked(path)
    return [found[i] for i in _spread(len(found))]


def _from_h5md(path: Path) -> list[Atoms]:
    """Frames of an H5MD trajectory, of which only those that are shown are read."""
    with opened(path) as file:
        datasets, species = frame_datasets(file), atom_datasets(file)["species"][...]
        positions, edges = datasets["position"], datasets.get("box/edges")
        periodic = False if edges is None else boundary(file)
        return [
            Atoms(species, positions[i], cell=None if edges is None else edges[i], pbc=periodic)
            for i in _spread(len(positions))
        ]


def _spread(count: int) -> list[int]:
    """Numbers of frames, spread evenly from the first to the last."""
    return sorted({int(i) for i in np.linspace(0, count - 1, min(count, MOST_FRAMES)).round()})
