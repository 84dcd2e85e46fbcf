"""Structures and potentials that the benchmarks share."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from ase import Atoms
from ase.build import bulk, molecule

from ase_geomformer import list_potentials
from ase_geomformer.architectures import build
from ase_geomformer.checkpoint.folder import read_card
from ase_geomformer.potential import Potential

ELEMENTS = ("H", "C", "O", "Si")
# So3krates in the size of SO3LR; the others have about as many weights. All peers have the cutoff.
SETTINGS: dict[str, dict[str, Any]] = {
    "so3krates": {
        "cutoff": 5.0,
        "num_features": 128,
        "num_layers": 3,
        "num_heads": 4,
        "degrees": (1, 2, 3, 4),
        "avg_num_neighbors": 20.0,
    },
    "geomformer": {"cutoff": 5.0},
    "est": {"cutoff": 5.0, "avg_num_neighbors": 20.0},
}


def potential(name: str = "so3krates") -> Potential:
    """A potential with random weights: speed does not depend on them."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return Potential(build(name, SETTINGS[name]), ELEMENTS)


def silicon(repeats: int) -> Atoms:
    """A rattled cube of 8 n^3 atoms."""
    return crystal("Si", repeats)


def crystal(symbol: str, repeats: int) -> Atoms:
    """A rattled cube of so many cubic cells, cubed, of an element."""
    return rattled(bulk(symbol, cubic=True) * (repeats, repeats, repeats))


def water(molecules_per_edge: int) -> Atoms:
    """Randomly turned molecules in a periodic cube at the density of the liquid."""
    rng = np.random.default_rng(0)
    spacing = 3.105
    box = Atoms(cell=np.full(3, spacing * molecules_per_edge), pbc=True)
    for corner in np.ndindex(*(3 * [molecules_per_edge])):
        one = molecule("H2O")
        one.rotate(rng.uniform(0, 360), rng.normal(size=3), center="COM")
        one.translate((np.array(corner) + 0.5) * spacing - one.get_center_of_mass())
        box += one
    return box


def rattled(atoms: Atoms) -> Atoms:
    """Off the symmetric sites, the same every time."""
    atoms.positions += np.random.default_rng(0).normal(scale=0.03, size=atoms.positions.shape)
    return atoms


def aspirin() -> Atoms:
    """A frame of the test data, which a shipped potential carries along."""
    return read_card(list_potentials()["est-rmd17-aspirin"]).golden[0].to_atoms()


def cases(names: list[str]) -> dict[str, Atoms]:
    """The structures of these names."""
    return {name: CASES[name]() for name in names}


CASES = {
    "ethanol": lambda: rattled(molecule("CH3CH2OH")),
    "aspirin": aspirin,
    "Si64": lambda: silicon(2),
    "MgO64": lambda: rattled(bulk("MgO", "rocksalt", a=4.25, cubic=True) * (2, 2, 2)),
    "Cu108": lambda: crystal("Cu", 3),
    "water192": lambda: water(4),
    "Si512": lambda: silicon(4),
    "Si4096": lambda: silicon(8),
}
