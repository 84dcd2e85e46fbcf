"""The system under test: a calculator and a structure."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from ase import Atoms

from ase_geomformer.calculator import PotentialCalculator
from ase_geomformer.physics import boundaries_of
from ase_geomformer.runtime.results import has_volume
from ase_geomformer.trust.limits import LIMITS, Limits

# Assumed range of calculators that do not state it, Å.
UNKNOWN_REACH = 20.0


@dataclass(frozen=True, eq=False)
class SystemUnderTest:
    """A calculator and a structure, with the properties that checks need.

    Attributes
    ----------
    atoms : ase.Atoms
        Never changed; checks work on copies.
    calculator : ase calculator
    precision : str
        ``"float32"`` or ``"float64"``, which the limits depend on.
    seed : int
        Of the random numbers of every check.
    """

    atoms: Atoms
    calculator: Any
    precision: str
    seed: int = 0

    @property
    def limits(self) -> Limits:
        return LIMITS[self.precision]

    @property
    def ours(self) -> PotentialCalculator | None:
        """The calculator, if it is one of this package's potentials."""
        return self.calculator if isinstance(self.calculator, PotentialCalculator) else None

    @property
    def reach(self) -> float:
        """Distance in Å beyond which atoms do not interact; infinite if there is none."""
        if self.ours is None:
            return UNKNOWN_REACH
        potential = self.ours.prepared.fitting(boundaries_of(self.atoms)).potential
        if potential.is_reciprocal:
            return math.inf
        correction = self.ours.prepared.dispersion
        reach = max(potential.cutoff, potential.far_cutoff)
        return reach if correction is None else max(reach, correction.reach)

    @property
    def has_stress(self) -> bool:
        """Whether there is a stress to test."""
        offered = "stress" in self.calculator.implemented_properties
        return offered and bool(self.atoms.pbc.all()) and has_volume(self.atoms)

    @cached_property
    def reference_energy(self) -> float:
        return self.energy(self.atoms)

    @cached_property
    def reference_forces(self) -> np.ndarray:
        return self.forces(self.atoms)

    def rng(self) -> np.random.Generator:
        """A freshly seeded generator, so that every check is reproducible on its own."""
        return np.random.default_rng(self.seed)

    def energy(self, atoms: Atoms) -> float:
        """Energy in eV."""
        return float(self.calculator.get_property("energy", atoms))

    def forces(self, atoms: Atoms) -> np.ndarray:
        """Forces (N, 3) in eV/Å, as the calculator gives them, without constraints."""
        return np.array(self.calculator.get_property("forces", atoms), dtype=float)

    def stress(self, atoms: Atoms) -> np.ndarray:
        """Stress (6,) in eV/Å^3."""
        return np.array(self.calculator.get_property("stress", atoms), dtype=float)

    def moved(self, positions: np.ndarray) -> Atoms:
        """A copy with other positions."""
        atoms = self.atoms.copy()
        atoms.positions = positions
        return atoms

    def scattered(self, width: float = 0.05) -> Atoms:
        """A copy with every atom displaced at random by about ``width`` Å."""
        shifts = self.rng().normal(scale=width, size=(len(self.atoms), 3))
        return self.moved(self.atoms.positions + shifts)

    @property
    def is_local(self) -> bool:
        return math.isfinite(self.reach)
