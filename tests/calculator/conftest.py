"""A calculator on random weights."""

from __future__ import annotations

import pytest

from ase_geomformer import PotentialCalculator
from ase_geomformer.potential import Potential


@pytest.fixture
def calculator(potential: Potential) -> PotentialCalculator:
    return PotentialCalculator(potential, device="cpu")
