"""Grüneisen parameters: how frequencies change with the volume."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

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
    from phonopy import PhonopyGruneisen

    found = PhonopyGruneisen(middle, larger, smaller)
    reciprocal = np.linalg.norm(np.linalg.inv(middle.primitive.cell), axis=0)
    mesh = np.maximum(1, np.rint(mesh_length_A * reciprocal)).astype(int)
    with np.errstate(divide="ignore", invalid="ignore"):
        found.set_mesh(mesh, is_gamma_center=True)
        found.set_band_structure([path + _AWAY_FROM_GAMMA for path in bands.q_points])
    sampled: Any = found.get_mesh()
    q_points, weights, frequencies, _, parameters = sampled
    # phonopy's distances run on where one path ends and another begins elsewhere.
    _, _, band_frequencies, _, band_parameters = found.get_band_structure()
    return GruneisenParameters(
        q_points=np.array(q_points),
        weights=np.array(weights),
        frequencies_THz=np.array(frequencies),
        parameters=np.where(np.abs(frequencies) > _TRANSLATION_THZ, parameters, np.nan),
        band_distances=bands.distances,
        band_frequencies_THz=[np.array(part) for part in band_frequencies],
        band_parameters=[
            np.where(np.abs(frequency) > _TRANSLATION_THZ, part, np.nan)
            for frequency, part in zip(band_frequencies, band_parameters, strict=True)
        ],
    )


_TRANSLATION_THZ = 1e-2
# Exactly at Γ the bands of a path cannot be told apart.
_AWAY_FROM_GAMMA = 1e-6
