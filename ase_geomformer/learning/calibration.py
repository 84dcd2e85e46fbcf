"""What spreads are to be multiplied by, from labels that no student was trained with."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ase_geomformer.data.frames import Frame
from ase_geomformer.learning.committee_errors import Predicted, predict
from ase_geomformer.runtime.prepared import Source

# Frames of dynamics from which a factor is taken; with fewer, all that are given count.
FEWEST_FRAMES = 4
# What is at hand without any.
FIRST_FACTOR = 2.0
# Above the first, members hardly differ, and the user is told; the last is where they are the same.
ALIKE_FACTOR, MOST_FACTOR = 10.0, 100.0
# How frames came about that dynamics passes as often as these: selected ones are unusual.
OF_DYNAMICS = ("random", "acceptance")


def spread_factor(potentials: Sequence[Source], held: Sequence[Frame]) -> float:
    """Mean error of the atoms' forces over the mean spread of the students' forces.

    Members that learn from the same labels share most of their error, which does not show in
    their spread: it is too small, by a factor that only labels tell that none of them has seen
    (as for conformal prediction, Hu et al., Mach. Learn.: Sci. Technol. 3, 045028 (2022)).

    Errors are not squared before the mean: there are some twenty frames, and a few of large errors
    would decide.

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
    """Sum of the lengths of the errors of all atoms' forces over the sum of their spreads."""
    errors = sum(
        np.linalg.norm(one.forces - np.asarray(frame.forces), axis=1).sum()
        for frame, one in zip(frames, predicted, strict=True)
    )
    return float(errors / max(sum(one.spread.sum() for one in predicted), 1e-12))


def clipped(factor: float, members: int) -> float:
    """A factor within reason.

    The error of the mean of members without any error in common is their spread over the root of
    their number; less is chance.
    """
    return float(np.clip(factor, members**-0.5, MOST_FACTOR))


def likeness(factor: float) -> str | None:
    """What the user should know of members that hardly differ; None where they do."""
    if factor <= ALIKE_FACTOR:
        return None
    shown = f"more than {MOST_FACTOR:g}" if factor >= MOST_FACTOR else f"{factor:.0f}"
    return (
        f"The members of the committee hardly differ: the errors of their forces are {shown} times "
        "their spread, which says little about where errors are large. New students differ more "
        "than fine-tuned ones (--from)."
    )
