"""Vibrations on a mesh of q points."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from phonopy import Phonopy


@dataclass(frozen=True, eq=False)
class Modes:
    """Vibrations at the irreducible points of a mesh.

    Attributes
    ----------
    mesh : array (3,)
        Points along each reciprocal axis.
    q_points : array (points, 3)
        In units of the primitive cell's reciprocal vectors.
    weights : array (points,)
        How many points of the mesh each stands for.
    frequencies_THz : array (points, branches)
        Imaginary frequencies are negative.
    share_of_atoms : array (points, branches, atoms)
        Squared length of each atom's part of the eigenvector, averaged over equivalent atoms: as
        it is after a sum over the points that a point stands for.
    """

    mesh: np.ndarray
    q_points: np.ndarray
    weights: np.ndarray
    frequencies_THz: np.ndarray
    share_of_atoms: np.ndarray


def modes_on_mesh(phonon: Phonopy, mesh: float | Sequence[int]) -> Modes:
    """Diagonalise on a mesh; it also stays in ``phonon``, whose writers know it.

    The mesh goes through Γ, so that it has the crystal's symmetry and, where it is commensurate
    with the supercell, points whose frequencies are not interpolated.

    Parameters
    ----------
    phonon : Phonopy
        With force constants.
    mesh : float or sequence of int
        Points along each reciprocal axis, or the length in Å that gives them: the spacing of the
        points is 2 pi divided by it.
    """
    found = phonon.run_mesh(mesh, with_eigenvectors=True, is_gamma_center=True)
    vectors = np.array(found.eigenvectors)  # (points, 3 atoms, branches)
    share = np.abs(vectors.reshape(len(vectors), -1, 3, vectors.shape[2])) ** 2
    share = share.sum(axis=2).transpose(0, 2, 1)
    first_of_kind = np.array(phonon.primitive_symmetry.get_map_atoms())
    for atom in np.unique(first_of_kind):
        kind = first_of_kind == atom
        share[:, :, kind] = share[:, :, kind].mean(axis=2, keepdims=True)
    return Modes(
        mesh=np.array(found.mesh_numbers),
        q_points=np.array(found.qpoints),
        weights=np.array(found.weights),
        frequencies_THz=np.array(found.frequencies),
        share_of_atoms=share,
    )
