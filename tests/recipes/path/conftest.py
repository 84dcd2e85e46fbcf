from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes
from ase.constraints import FixAtoms

# K. Müller, L. D. Brown, Theor. Chim. Acta 53, 75 (1979).
HEIGHT = np.array([-200.0, -100.0, -170.0, 15.0])
XX = np.array([-1.0, -1.0, -6.5, 0.7])
XY = np.array([0.0, 0.0, 11.0, 0.6])
YY = np.array([-10.0, -10.0, -6.5, 0.7])
CENTRES = np.array([[1.0, 0.0], [0.0, 0.5], [-0.5, 1.5], [-1.0, 1.0]])
SCALE = 0.005  # eV

MINIMA = {"A": (-0.558224, 1.441726), "B": (0.623499, 0.028038), "C": (-0.050011, 0.466694)}
ENERGIES = {"A": -146.699517, "B": -108.166724, "C": -80.767818}
# Saddle points A-C and C-B: places and energies.
SADDLES = {"AC": ((-0.822002, 0.624313), -40.664844), "CB": ((0.212487, 0.292988), -72.248940)}


class MuellerBrown(Calculator):
    """The Müller-Brown surface for every atom but the first, and a spring along z."""

    implemented_properties: ClassVar[list[str]] = ["energy", "free_energy", "forces"]

    def calculate(
        self, atoms: Any = None, properties: Any = (), system_changes: Any = all_changes
    ) -> None:
        super().calculate(atoms, properties, system_changes)
        energy, forces = 0.0, np.zeros((len(self.atoms), 3))
        for index, (x, y, z) in enumerate(self.atoms.positions):
            if index == 0:
                continue
            dx, dy = x - CENTRES[:, 0], y - CENTRES[:, 1]
            terms = SCALE * HEIGHT * np.exp(XX * dx**2 + XY * dx * dy + YY * dy**2)
            energy += terms.sum() + 0.5 * z**2
            forces[index, 0] = -np.sum(terms * (2.0 * XX * dx + XY * dy))
            forces[index, 1] = -np.sum(terms * (XY * dx + 2.0 * YY * dy))
            forces[index, 2] = -z
        self.results = {"energy": energy, "free_energy": energy, "forces": forces}


def at(name: str) -> Atoms:
    """A fixed atom far away, and one in a minimum of the surface."""
    atoms = Atoms("HeH", positions=[[9.0, 9.0, 0.0], [*MINIMA[name], 0.0]])
    atoms.set_constraint(FixAtoms([0]))
    return atoms


@pytest.fixture
def surface() -> MuellerBrown:
    return MuellerBrown()
