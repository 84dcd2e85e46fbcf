"""A crystal whose force constants are known."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes


class HarmonicCrystal(Calculator):
    """Forces of a supercell by its force constants (atoms, atoms, 3, 3), and given charges."""

    implemented_properties: ClassVar[list[str]] = ["energy", "forces", "charges"]

    def __init__(self, supercell: Atoms, force_constants: np.ndarray, charges: Any = None) -> None:
        super().__init__()
        self.supercell, self.force_constants, self.charges = supercell, force_constants, charges

    def calculate(
        self, atoms: Any = None, properties: Any = (), system_changes: Any = all_changes
    ) -> None:
        super().calculate(atoms, properties, system_changes)
        self.results = {} if self.charges is None else {"charges": self.charges}
        if len(self.atoms) == len(self.supercell):
            shifts = self.atoms.positions - self.supercell.positions
            forces = -np.einsum("ijab,jb->ia", self.force_constants, shifts)
            self.results |= {"energy": -0.5 * np.sum(forces * shifts), "forces": forces}
