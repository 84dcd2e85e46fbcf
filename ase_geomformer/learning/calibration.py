"""What spreads are to be multiplied by, from labels that no student was trained with."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ase_geomformer.data.frames import Frame
from ase_geomformer.learning.committee_errors import committee_errors, predict
from ase_geomformer.runtime.prepared import Source

# Frames of dynamics from which a factor is taken; with fewer, all that are given count.
FEWEST_FRAMES = 4
# What is at hand without any; students that have hardly begun agree on nothing in particular.
FIRST_FACTOR, MOST_FACTOR = 2.0, 10.0
# How frames came about that dynamics passes as often as these: selected ones are unusual.
OF_DYNAMICS = ("random", "acceptance")


def spread_factor(potentials: Sequence[Source], held: Sequence[Frame]) -> float:
    """Root mean square error over root mean square spread of the atoms' forces.

    Members that learn from the same labels share most of their error, which does not show in
    their spread: it is too small, by a factor that only labels tell that none of them has seen
    (as for conformal prediction, Hu et al., Mach. Learn.: Sci. Technol. 3, 045028 (2022)).

    Parameters
    ----------
    potentials : sequence of Potential, or prepared ones
        The students as they are now.
    held : sequence of Frame
        Labels that none of them was trained with; random frames of dynamics are preferred.
    """
    moving = [frame for frame in held if frame.atoms.info.get("origin") in OF_DYNAMICS]
    chosen = moving if len(moving) >= FEWEST_FRAMES else list(held)
    if not chosen:
        return FIRST_FACTOR
    predicted = predict(potentials, [frame.atoms for frame in chosen])
    return clipped(committee_errors(chosen, predicted).calibration, len(potentials))


def clipped(factor: float, members: int) -> float:
    """A factor within reason.

    The error of the mean of members without any error in common is their spread over the root of
    their number; less is chance.
    """
    return float(np.clip(factor, members**-0.5, MOST_FACTOR))
