"""Writing frames with their labels."""

from __future__ import annotations

import os
from collections.abc import Iterable

from ase import Atoms

from ase_geomformer.data.frames import Frame
from ase_geomformer.machine.files import atomic_file


def write_frames(path: str | os.PathLike[str], frames: Iterable[Frame]) -> None:
    """Write frames as extended XYZ with the labels under their ``REF_`` keys, atomically."""
    from ase.io import write  # takes scipy along, which changes the user's warning filters

    images = []
    for frame in frames:
        atoms = labelled_atoms(frame)
        atoms.info["source"] = frame.where
        images.append(atoms)
    with atomic_file(path) as temporary:
        write(temporary, images, format="extxyz")


def labelled_atoms(frame: Frame) -> Atoms:
    """A copy of a frame's structure that carries the labels under their ``REF_`` keys."""
    atoms = frame.atoms.copy()
    if frame.energy is not None:
        atoms.info["REF_energy"] = frame.energy
    if frame.stress is not None:
        atoms.info["REF_stress"] = frame.stress
    if frame.forces is not None:
        atoms.arrays["REF_forces"] = frame.forces
    return atoms
