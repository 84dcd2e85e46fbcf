"""What the guards of a run remember."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping

import numpy as np
from ase import Atoms

# Frames kept from before the offending one.
FRAMES_KEPT = 10


class GuardMemory:
    """Values that guards compare with, and the last frames that passed all of them.

    Attributes
    ----------
    values : dict of str to array
        What restart files store.
    """

    def __init__(self, values: Mapping[str, np.ndarray] | None = None) -> None:
        self.values = dict(values or {})
        self._recent: deque[tuple[int, np.ndarray, np.ndarray, np.ndarray]] = deque(
            maxlen=FRAMES_KEPT
        )

    def keep(self, step: int, atoms: Atoms) -> None:
        """Keep a frame that passed, in place of the oldest."""
        frame = (step, atoms.get_positions(), atoms.get_momenta(), atoms.cell.array.copy())
        self._recent.append(frame)

    def last_good(self, atoms: Atoms) -> list[Atoms]:
        """The last frames that passed, oldest first, with their step in ``info``."""
        frames = []
        for step, positions, momenta, cell in self._recent:
            frame = atoms.copy()
            frame.set_cell(cell)
            frame.set_positions(positions, apply_constraint=False)
            frame.set_momenta(momenta, apply_constraint=False)
            frame.info["step"] = step
            frames.append(frame)
        return frames
