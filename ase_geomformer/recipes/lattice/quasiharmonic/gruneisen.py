"""Grüneisen parameters: how frequencies change with the volume."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from ase_geomformer.recipes.lattice.bands import Bands

if TYPE_CHECKING:
    from phonopy import Phonopy


@dataclass(frozen=True, eq=False)
class GruneisenParameters:
    """- d ln(frequency) / d ln(volume) of modes.

    Attributes
    ----------
    q_points : array (points, 3)
        Irreducible points of a mesh.
    weights : array (points,)
    frequencies_THz, parameters : array (points, branches)
    band_distances : list of array (points,)
        Along the path of the band structure, in 1/Å without 2 pi.
    band_frequencies_THz, band_parameters : list of array (points, branches)
        Of connected bands, which cross.
    """

    q_points: np.ndarray
    weights: np.ndarray
    frequencies_THz: np.ndarray
    parameters: np.ndarray
    band_distances: list[np.ndarray]
    band_frequencies_THz: list[np.ndarray]
    band_parameters: list[np.ndarray]


def gruneisen_parameters(
    middle: Phonopy, larger: Phonopy, smaller: Phonopy, bands: Bands, mesh_length_A: float
) -> GruneisenParameters:
    """Grüneisen parameters by first-order perturbation between two volumes.

    Translations at Γ have none: NaN there.

    Parameters
    ----------
    middle, larger, smaller : Phonopy
        With force constants, the last two at volumes to either side of the first.
    bands : Bands
        Of the first; parameters are given along its path.
    mesh_length_A : float
        The spacing of the mesh's points is 2 pi divided by it.
    """
    reciprocal = np.linalg.norm(np.linalg.inv(middle.primitive.cell), axis=0)
    mesh = np.maximum(1, np.rint(mesh_length_A * reciprocal)).astype(int)
    sampled = middle.run_mesh(mesh, is_gamma_center=True)
    q_points = np.array(sampled.qpoints)
    phonons = (middle, larger, smaller)
    on_mesh = _at(phonons, q_points)
    along = [
        _connected(_at(phonons, _inwards(path), path[-1] - path[0])) for path in bands.q_points
    ]
    return GruneisenParameters(
        q_points=q_points,
        weights=np.array(sampled.weights),
        frequencies_THz=on_mesh.frequencies_THz,
        parameters=on_mesh.parameters,
        band_distances=bands.distances,
        band_frequencies_THz=[part.frequencies_THz for part in along],
        band_parameters=[part.parameters for part in along],
    )


@dataclass(frozen=True, eq=False)
class _Modes:
    """Frequencies and parameters (points, branches), and eigenvectors in columns."""

    frequencies_THz: np.ndarray
    parameters: np.ndarray
    eigenvectors: np.ndarray


def _at(
    phonons: tuple[Phonopy, Phonopy, Phonopy],
    q_points: np.ndarray,
    direction: np.ndarray | None = None,
) -> _Modes:
    """Modes at q points (points, 3); the direction is that from which Γ is approached."""
    own, above, below = (
        np.array(
            phonon.run_qpoints(
                q_points, with_dynamical_matrices=True, nac_q_direction=direction
            ).dynamical_matrices
        )
        for phonon in phonons
    )
    middle, larger, smaller = phonons
    strain = (larger.primitive.volume - smaller.primitive.volume) / middle.primitive.volume
    values, slopes, vectors = (
        np.array(part) for part in zip(*map(_perturbed, own, (above - below) / strain), strict=True)
    )
    frequencies = np.sign(values) * np.sqrt(np.abs(values)) * middle.unit_conversion_factor
    moves = np.abs(frequencies) > _TRANSLATION_THZ
    parameters = np.full_like(values, np.nan)
    parameters[moves] = -0.5 * slopes[moves] / values[moves]
    return _Modes(frequencies, parameters, vectors)


def _perturbed(matrix: np.ndarray, change: np.ndarray) -> tuple[np.ndarray, ...]:
    """Eigenvalues, their derivatives along a change of the matrix, and eigenvectors.

    Degenerate eigenvectors are rotated so that they diagonalise the change. The tolerance of the
    degeneracy is relative: by phonopy's absolute one, two acoustic modes near Γ, whose eigenvalues
    are small, count as degenerate and exchange their derivatives.
    """
    values, vectors = np.linalg.eigh(matrix)
    apart = np.diff(values) > _EQUAL * np.abs(values[1:])
    slopes = []
    for equal in np.split(np.arange(len(values)), np.flatnonzero(apart) + 1):
        part = vectors[:, equal]
        found, turn = np.linalg.eigh(part.conj().T @ change @ part)
        slopes.append(found)
        vectors[:, equal] = part @ turn
    return values, np.concatenate(slopes), vectors


def _connected(modes: _Modes) -> _Modes:
    """Modes along a path in the order of their bands, which cross."""
    from phonopy.phonon.band_structure import estimate_band_connection

    orders = [list(range(len(modes.eigenvectors[0])))]
    for before, after in pairwise(modes.eigenvectors):
        orders.append(estimate_band_connection(before, after, orders[-1]))
    order = np.array(orders)
    return _Modes(
        np.take_along_axis(modes.frequencies_THz, order, axis=1),
        np.take_along_axis(modes.parameters, order, axis=1),
        np.take_along_axis(modes.eigenvectors, order[:, None], axis=2),
    )


def _inwards(path: np.ndarray) -> np.ndarray:
    """A path with its ends moved inwards a little, where degenerate bands can be connected."""
    moved = path.copy()
    moved[0] += _INWARDS * (path[1] - path[0])
    moved[-1] += _INWARDS * (path[-2] - path[-1])
    return moved


_TRANSLATION_THZ = 1e-2
# Relative difference of degenerate eigenvalues; that of frequencies is half of it.
_EQUAL = 1e-5
_INWARDS = 1e-6
