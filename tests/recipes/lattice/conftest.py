from __future__ import annotations

import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.lj import LennardJones


@pytest.fixture
def argon() -> Atoms:
    """Near its equilibrium with the calculator below."""
    return bulk("Ar", "fcc", a=5.24)


@pytest.fixture
def lennard_jones() -> LennardJones:
    return LennardJones(sigma=3.4, epsilon=0.0104, rc=6.0, smooth=True)
