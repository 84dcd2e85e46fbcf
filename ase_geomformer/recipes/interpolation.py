"""Structures between two others."""

from __future__ import annotations

from typing import Literal

from ase import Atoms
from ase.mep import NEB
from ase.mep.neb import idpp_interpolate, interpolate

Interpolation = Literal["idpp", "linear"]


def is_free_molecule(atoms: Atoms) -> bool:
    """Whether the structure may turn and move as a whole."""
    return not (atoms.pbc.any() or atoms.constraints)


def interpolated(
    initial: Atoms, final: Atoms, count: int, method: Interpolation = "idpp"
) -> list[Atoms]:
    """The structures of a first path between two ends, which are among them.

    Parameters
    ----------
    initial, final : ase.Atoms
        Without jumps across boundaries between them.
    count : int
        Number of structures.
    method : str
        idpp (image-dependent pair potential, S. Smidstrup, A. Pedersen, K. Stokbro, H. Jónsson, J.
        Chem. Phys. 140, 214106 (2014)) or linear.
    """
    images = [initial.copy() for _ in range(count - 1)] + [final.copy()]
    interpolate(images, mic=False, apply_constraint=False)
    if method == "idpp":
        band = NEB(
            images,
            method="improvedtangent",
            remove_rotation_and_translation=is_free_molecule(initial),
        )
        idpp_interpolate(band, traj=None, log=None, mic=bool(initial.pbc.any()))
    for image in images:
        image.calc = None
    return images
