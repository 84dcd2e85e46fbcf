from __future__ import annotations

import warnings

import numpy as np
import pytest
from ase.build import bulk, fcc111, molecule, surface
from ase.calculators.emt import EMT
from ase.neighborlist import neighbor_list

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


def test_silicon_is_cut_where_one_bond_breaks() -> None:
    """The example of the docs: above the 1.31 J/m^2 of PBE's 7x7 reconstruction, and near it."""
    crystal = bulk("Si", a=5.468)
    slab = surface(crystal, (1, 1, 1), 6, periodic=True)
    slab.positions += slab.cell[2] / 24
    slab.wrap()
    slab.center(vacuum=8.0, axis=2)
    bonds = np.bincount(neighbor_list("i", slab, 2.6), minlength=len(slab))
    assert sorted(bonds) == [3] * 2 + [4] * 10
    found = surface_energy(slab, crystal, "so3krates-mlearn-si")
    assert found.converged
    assert 1.31 < found.value < 1.60


def test_extrapolated_atoms_are_told() -> None:
    fixed, crystal = RelaxSettings(steps=0), bulk("Si", a=5.468)
    with pytest.warns(UserWarning, match="give atom_energies"):
        found = cohesive_energy(crystal, "so3krates-mlearn-si", fixed)
    assert "'so3krates-mlearn-si' extrapolates" in found.reason
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        given = cohesive_energy(crystal, "so3krates-mlearn-si", fixed, atom_energies={"Si": -0.8})
    assert "extrapolates" not in given.reason
