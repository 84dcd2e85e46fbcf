"""Densities of states."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ase_geomformer.recipes.lattice.modes import Modes

if TYPE_CHECKING:
    from phonopy import Phonopy

# Width of the Gaussians that share the density out to elements, by the range of frequencies.
_WIDTH = 0.01


@dataclass(frozen=True, eq=False)
class DensityOfStates:
    """Vibrations by frequency.

    Attributes
    ----------
    frequencies_THz : array (points,)
    total_per_THz : array (points,)
        Its integral is the number of branches, three for each atom of the primitive cell.
    by_element_per_THz : dict of str to array (points,)
        The part of each element; they add up to the total.
    """

    frequencies_THz: np.ndarray
    total_per_THz: np.ndarray
    by_element_per_THz: dict[str, np.ndarray]


def density_of_states(phonon: Phonopy, modes: Modes) -> DensityOfStates:
    """Total and projected densities of states.

    The total is phonopy's, by the tetrahedron method. It is shared out to the elements in the
    ratio that eigenvectors near each frequency have, which needs only irreducible q points.

    Parameters
    ----------
    phonon : Phonopy
        Whose mesh is that of ``modes``.
    modes : Modes
    """
    found = phonon.run_total_dos()
    frequencies, total = np.array(found.frequency_points), np.array(found.dos)
    elements = np.array(phonon.primitive.symbols)
    names = list(dict.fromkeys(elements.tolist()))
    share = np.stack([modes.share_of_atoms[:, :, elements == name].sum(axis=2) for name in names])
    weights = (share * modes.weights[:, None]).reshape(len(names), -1)
    smeared = _smear(frequencies, modes.frequencies_THz.ravel(), weights)
    # Far from any mode both are zero, and so is the total.
    ratio = smeared / np.maximum(smeared.sum(axis=0), np.finfo(float).tiny)
    by_element = {name: total * part for name, part in zip(names, ratio, strict=True)}
    return DensityOfStates(frequencies, total, by_element)


def _smear(frequencies: np.ndarray, modes: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Weights (elements, modes) of modes as sums of Gaussians (elements, points)."""
    width = _WIDTH * np.ptp(frequencies)
    found = np.empty((len(weights), len(frequencies)))
    for point, frequency in enumerate(frequencies):
        found[:, point] = weights @ np.exp(-0.5 * ((modes - frequency) / width) ** 2)
    return found
