"""Energies of a trained potential without a constant error.

The average of the weights lags behind, and of all that a training learns the constant part of
the energy shows it most: its bias goes up and down by more per step than the energies of frames
differ. Errors of fractions of a meV per atom remain, the same for all frames; no force knows of
them. They are taken off the reference energies.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ase_geomformer.data.frames import Frame, elements
from ase_geomformer.data.reference import fit_energies
from ase_geomformer.evaluate import evaluate_many
from ase_geomformer.potential import Potential

MOST_FRAMES = 2000
# Of the regression on compositions: errors of elements count as such from a tenth of the scatter.
RIDGE = 1e-2


def centre(potential: Potential, frames: Sequence[Frame]) -> dict[str, float]:
    """Move the reference energies so that the errors of the frames' energies have no mean.

    Parameters
    ----------
    potential : Potential
        Changed in place.
    frames : sequence of Frame
        Training frames; those without energy, and isolated atoms, are left out, and of very many
        an even selection is taken.

    Returns
    -------
    dict
        What was added, eV by symbol; empty where no frame tells.
    """
    told = [frame for frame in frames if frame.energy is not None and not frame.is_isolated_atom]
    chosen = np.unique(np.linspace(0, len(told) - 1, min(len(told), MOST_FRAMES)).round())
    told = [told[int(index)] for index in chosen]
    if not told:
        return {}
    found = evaluate_many(
        potential, [frame.atoms for frame in told], ("energy",), device=potential.device
    )
    errors = [
        (frame, (frame.energy or 0.0) - result["energy"])
        for frame, result in zip(told, found, strict=True)
    ]
    moves = fit_energies(errors, {}, elements(told), RIDGE)
    energies = potential.reference_energies
    moved = {symbol: energies.get(symbol, 0.0) + by for symbol, by in moves.items()}
    potential.set_reference_energies({**energies, **moved})
    return moves
