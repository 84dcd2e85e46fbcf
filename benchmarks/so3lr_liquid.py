"""A box of water to measure in."""

from __future__ import annotations

import numpy as np
from ase import Atoms
from ase.build import molecule


def water_box(number: int = 64) -> Atoms:
    """Molecules at the density of the liquid, on a grid and turned at random."""
    side = round(number ** (1 / 3))
    rng = np.random.default_rng(1)
    spacing = (29.9) ** (1 / 3)
    box = Atoms(cell=[side * spacing] * 3, pbc=True)
    for place in np.ndindex(side, side, side):
        turned = molecule("H2O")
        turned.euler_rotate(*rng.uniform(0, 360, 3))
        turned.translate(spacing * np.array(place))
        box += turned
    return box
