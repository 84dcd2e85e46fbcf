"""SO3LR's long range: interaction energies do not depend on how they are summed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ase import Atoms
from ase.data.s22 import create_s22_system
from ase.units import kcal, mol

from ase_geomformer import PotentialCalculator
from ase_geomformer.convert import so3lr
from ase_geomformer.potential import Potential


@pytest.fixture(scope="module")
def published(shared: Path) -> Potential:
    folder = shared / "fixtures" / "so3krates" / "so3lr"
    return so3lr(folder / "weights_flax.safetensors")


def binding(potential: Potential, pbc: Any = False, **settings: Any) -> float:
    """Of the water dimer of S22, kcal/mol."""
    dimer = create_s22_system("Water_dimer")
    calculator = PotentialCalculator(potential, dtype="float64", device="cpu", **settings)

    def energy(atoms: Atoms) -> float:
        atoms.set_cell([30.0] * 3)
        atoms.pbc = pbc
        return float(calculator.get_property("energy", atoms))

    return (energy(dimer) - energy(dimer[:3]) - energy(dimer[3:])) * mol / kcal


def test_the_water_dimer_in_every_form(published: Potential) -> None:
    exact = binding(published)
    assert exact == pytest.approx(-5.558, abs=0.002)
    for pbc in (True, [True, True, False], [True, False, False]):
        assert binding(published, pbc) == pytest.approx(exact, abs=0.02)
    for cutoff in (8.0, 10.0, 15.0):
        found = binding(published, long_range_cutoff=cutoff)
        assert found == pytest.approx(exact, abs=0.05)


def test_the_published_form_binds_too_strongly(published: Potential) -> None:
    for cutoff, expected in ((6.0, -9.14), (12.0, -7.16), (50.0, -5.94)):
        found = binding(published, long_range="published", long_range_cutoff=cutoff)
        assert found == pytest.approx(expected, abs=0.01)
    by_card = binding(published, long_range="published")
    assert by_card == pytest.approx(-7.16, abs=0.01)
