from __future__ import annotations

import numpy as np
import pytest
from ase.build import bulk, fcc111, molecule
from ase.calculators.emt import EMT

from ase_geomformer.recipes import (
    RelaxSettings,
    cohesive_energy,
    surface_energy,
    vacancy_formation_energy,
)
from tests.recipes.pair import Morse


def test_energies_of_vacancy_surface_and_cohesion() -> None:
    # A pair crystal that cannot relax, as its atoms reach no further than the first neighbours:
    # a vacancy breaks twelve bonds and gives six back, a (111) face breaks three for each atom.
    pair = Morse(cutoff=4.4)
    lattice, _ = pair.fcc()
    bond = pair.bond_energy(lattice / np.sqrt(2))
    crystal = bulk("Ar", cubic=True, a=lattice) * (2, 2, 2)
    fixed = RelaxSettings(steps=0)
    vacancy = vacancy_formation_energy(crystal, pair, settings=fixed)
    assert vacancy.value == pytest.approx(6 * bond, rel=1e-6)
    assert vacancy.unit == "eV"
    slab = fcc111("Ar", (1, 1, 6), a=lattice, vacuum=10.0, periodic=True)
    surface = surface_energy(slab, bulk("Ar", "fcc", a=lattice), pair, settings=fixed)
    area = lattice**2 * np.sqrt(3) / 4
    assert surface.value == pytest.approx(1.5 * bond / area * 16.0217663, rel=1e-6)
    cohesion = cohesive_energy(bulk("Ar", "fcc", a=1.01 * lattice), pair)
    assert cohesion.converged
    assert cohesion.value == pytest.approx(6 * bond, rel=1e-4)
    given = cohesive_energy(molecule("H2O"), EMT(), fixed, atom_energies={"H": -1.0, "O": -2.0})
    water = given.relaxations["structure"].energy
    assert given.value == pytest.approx((-4.0 - water) / 3)


def test_relaxation_lowers_the_energy_of_a_vacancy() -> None:
    crystal = bulk("Cu", cubic=True, a=3.58983) * (2, 2, 2)
    stiff = vacancy_formation_energy(crystal, EMT(), settings=RelaxSettings(steps=0))
    soft = vacancy_formation_energy(crystal, EMT())
    assert soft.converged
    assert not stiff.converged
    assert "vacancy" in stiff.reason
    assert 0.5 < soft.value < stiff.value - 0.01


def test_what_these_energies_cannot_mean_is_refused() -> None:
    with pytest.raises(ValueError, match="several elements"):
        vacancy_formation_energy(bulk("NaCl", "rocksalt", a=5.6), EMT())
    with pytest.raises(ValueError, match="give a supercell"):
        vacancy_formation_energy(bulk("Cu"), EMT())
    with pytest.raises(ValueError, match="must be 'none'"):
        vacancy_formation_energy(bulk("Cu", cubic=True), EMT(), settings=RelaxSettings(cell="full"))
    with pytest.raises(ValueError, match="stoichiometric"):
        surface_energy(bulk("NaCl", "rocksalt", a=5.6), bulk("Cu"), EMT())
    with pytest.raises(ValueError, match="atom_energies has none for O"):
        cohesive_energy(molecule("H2O"), EMT(), atom_energies={"H": -1.0})
