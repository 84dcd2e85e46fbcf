from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes


class Springs(Calculator):
    """Springs that tie every atom's displacement to the mean displacement.

    With d_i = u_i - <u> the energy sum_i k/2 |d_i|^2 + q/4 sum_c d_ic^4 conserves momentum and has
    3N - 3 vibrations, coupled strongly enough to be ergodic. In the canonical ensemble
    <-sum_i F_i d_i> = (3N - 3) kT, which is kept for every evaluation in ``virials``.
    """

    implemented_properties: ClassVar[list[str]] = ["energy", "free_energy", "forces"]

    def __init__(self, atoms: Atoms, stiffness: float = 5.0, quartic: float = 50.0) -> None:
        super().__init__()
        self.sites = atoms.get_positions()
        self.stiffness, self.quartic = stiffness, quartic
        self.virials: list[float] = []

    @property
    def evaluations(self) -> int:
        return len(self.virials)

    def calculate(
        self, atoms: Any = None, properties: Any = (), system_changes: Any = all_changes
    ) -> None:
        super().calculate(atoms, properties, system_changes)
        d = self.atoms.positions - self.sites
        d -= d.mean(axis=0)
        energy = np.sum(0.5 * self.stiffness * d**2 + 0.25 * self.quartic * d**4)
        slope = self.stiffness * d + self.quartic * d**3
        forces = slope.mean(axis=0) - slope
        self.virials.append(-np.sum(forces * d))
        self.results = {"energy": energy, "free_energy": energy, "forces": forces}


@pytest.fixture
def cluster() -> Atoms:
    """Four atoms of different mass, periodic so that rotations count as vibrations do."""
    return Atoms("CNOF", positions=3.0 * np.eye(4, 3), cell=[10, 10, 10], pbc=True)


@pytest.fixture
def springs(cluster: Atoms) -> Springs:
    return Springs(cluster)
