"""A pair potential whose fcc crystal is known from its lattice sums."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from ase import units
from ase.calculators.calculator import Calculator, all_changes
from ase.stress import full_3x3_to_voigt_6_stress
from matscipy.neighbours import neighbour_list
from scipy.optimize import brentq


class Morse(Calculator):
    """D ((1 - exp(-a (r - r0)))^2 - 1), switched off over the last 0.5 Å before the cutoff."""

    implemented_properties: ClassVar[list[str]] = ["energy", "forces", "stress"]

    def __init__(self, cutoff: float = 8.0) -> None:
        super().__init__()
        self.depth, self.width, self.r0, self.cutoff = 0.3, 1.5, 3.8, cutoff

    def pair(self, r: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Energy and its slope at a distance."""
        decay = np.exp(-self.width * (r - self.r0))
        energy = self.depth * ((1 - decay) ** 2 - 1)
        slope = 2 * self.depth * self.width * decay * (1 - decay)
        x = np.clip((r - self.cutoff + 0.5) / 0.5, 0.0, 1.0)
        switch = 1 - x**3 * (10 - 15 * x + 6 * x**2)
        falling = -30 * x**2 * (1 - x) ** 2 / 0.5
        return energy * switch, slope * switch + energy * falling

    def bond_energy(self, r: float) -> float:
        """Energy that it takes to break a bond."""
        return -float(self.pair(np.array(r))[0])

    def fcc(self) -> tuple[float, float]:
        """Lattice constant in Å and bulk modulus in GPa of the fcc crystal.

        With e(a) the energy per atom and V = a^3 / 4, B = V d2e/dV2 = 4 e''(a) / (9 a) where
        e'(a) = 0.
        """
        grid = np.stack(np.meshgrid(*[np.arange(-6, 7)] * 3), axis=-1).reshape(-1, 3) / 2
        whole = (2 * grid).sum(axis=1) % 2 == 0
        distances = np.linalg.norm(grid[whole], axis=1)
        distances = distances[distances > 0]

        def slope(a: float) -> float:
            return 0.5 * float((distances * self.pair(a * distances)[1]).sum())

        a = float(brentq(slope, 1.25 * self.r0, 1.5 * self.r0, xtol=1e-12))
        curvature = (slope(a + 1e-4) - slope(a - 1e-4)) / 2e-4
        return a, 4 * curvature / (9 * a) / units.GPa

    def calculate(
        self, atoms: Any = None, properties: Any = (), system_changes: Any = all_changes
    ) -> None:
        super().calculate(atoms, properties, system_changes)
        i, r, d = neighbour_list("idD", self.atoms, self.cutoff)
        energy, slope = self.pair(r)
        pull = slope[:, None] * d / r[:, None]
        forces = np.zeros((len(self.atoms), 3))
        np.add.at(forces, i, pull)
        self.results = {"energy": 0.5 * float(energy.sum()), "forces": forces}
        if self.atoms.cell.rank == 3:
            virial = 0.5 * np.einsum("ea,eb->ab", pull, d) / self.atoms.get_volume()
            self.results["stress"] = full_3x3_to_voigt_6_stress(virial)
