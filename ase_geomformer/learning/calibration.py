"""What spreads are to be multiplied by, from labels that no student was trained with."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ase_geomformer.data.frames import Frame
from ase_geomformer.learning.committee_errors import Predicted, predict
from ase_geomformer.runtime.prepared import Source

# Frames of dynamics from which a factor is taken; with fewer, all that are given count.
FEWEST_FRAMES = 4
# What is at hand without any; students that have hardly begun agree on nothing in particular.
FIRST_FACTOR, MOST_FACTOR = 2.0, 10.0
# How frames came about that dynamics passes as often as these: selected ones are unusual.
OF_DYNAMICS = ("random", "acceptance")


def spread_factor(potentials: Sequence[Source], held: Sequence[Frame]) -> float:
    """Mean error of the frames' forces over their mean spread, both root mean squares of a frame.

    Members that learn from the same labels share most of their error, which does not show in
    their spread: it is too small, by a factor that only labels tell that none of them has seen
    (as for conformal prediction, Hu et al., Mach. Learn.: Sci. Technol. 3, 045028 (2022)).

    There are some twenty frames, half of them hot. Were their errors squared before the mean, a few
    hot ones would decide, for which the factor is often larger than at the temperature of use.

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
    return clipped(mean_ratio(chosen, predicted), len(potentials))


def mean_ratio(frames: Sequence[Frame], predicted: Sequence[Predicted]) -> float:
    """Sum of the frames' root mean square errors over that of their root mean square spreads."""
    errors = [
        np.sqrt(((one.forces - np.asarray(frame.forces)) ** 2).sum(axis=1).mean())
        for frame, one in zip(frames, predicted, strict=True)
    ]
    spreads = [np.sqrt((one.spread**2).mean()) for one in predicted]
    return float(np.sum(errors) / max(np.sum(spreads), 1e-12))


def clipped(factor: float, members: int) -> float:
    """A factor within reason.

    The error of the mean of members without any error in common is their spread over the root of
    their number; less is chance.
    """
    return float(np.clip(factor, members**-0.5, MOST_FACTOR))
