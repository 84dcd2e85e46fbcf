"""Removal of the mean error of the energies of a trained potential.

Averaged weights, which ship, are not the weights that the loss has seen, and of all that they
change the constant part of the energy matters most: no force knows of it. With `est-rmd17-ethanol`
the energies of training frames had a mean error of 0.04 meV by the weights near the end of the
training and of 0.70 meV by their average, which would have been most of the test error. It is
taken off the reference energies.
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
    """Shift the reference energies so that the mean error of the frames' energies is zero.

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
        Shifts in eV by symbol; empty if no frame has an energy.
    """
    labelled = [
        (frame, frame.energy)
        for frame in frames
        if frame.energy is not None and not frame.is_isolated_atom
    ]
    chosen = np.linspace(0, len(labelled) - 1, min(len(labelled), MOST_FRAMES)).round()
    told = [labelled[int(index)] for index in chosen]
    if not told:
        return {}
    structures = [frame.atoms for frame, _ in told]
    found = evaluate_many(structures, potential, ("energy",), device=potential.device)
    errors = [
        (frame, energy - result["energy"])
        for (frame, energy), result in zip(told, found, strict=True)
    ]
    moves = fit_energies(errors, {}, elements(frame for frame, _ in told), RIDGE)
    energies = potential.reference_energies
    moved = {symbol: energies.get(symbol, 0.0) + by for symbol, by in moves.items()}
    potential.set_reference_energies({**energies, **moved})
    return moves
