from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms, units
from ase.build import molecule

from ase_geomformer.recipes.modes.thermochemistry import harmonic, ideal_gas, symmetry_number

pytestmark = pytest.mark.quick

# Atkins, Physical Chemistry: rotational symmetry numbers.
SYMMETRY = {
    "H2O": 2, "NH3": 3, "CH4": 12, "C2H6": 6, "C6H6": 12, "C2H4": 4, "CO": 1, "CO2": 2, "C2H2": 2,
    "CH3CH2OH": 1, "BF3": 6, "SiH4": 12, "CH3OH": 1, "C60": 60, "H": 1, "N2": 2, "HCN": 1,
}  # fmt: skip


@pytest.mark.parametrize("name", SYMMETRY)
def test_symmetry_numbers(name: str, rng: np.random.Generator) -> None:
    atoms = molecule(name)
    atoms.rotate(73.0, (1, 2, 3))
    atoms.positions += rng.normal(scale=0.005, size=atoms.positions.shape)
    assert symmetry_number(atoms) == SYMMETRY[name]


ISOTOPES = {
    "HOD": ("H2O", {1: 2.014}, 1), "D2O": ("H2O", {1: 2.014, 2: 2.014}, 2),
    "14N15N": ("N2", {0: 15.0001}, 1), "16O12C18O": ("CO2", {1: 17.9992}, 1),
    "CH3D": ("CH4", {1: 2.014}, 3), "CH2D2": ("CH4", {1: 2.014, 2: 2.014}, 2),
}  # fmt: skip


@pytest.mark.parametrize("name", ISOTOPES)
def test_isotopes_are_told_apart(name: str) -> None:
    parent, masses, expected = ISOTOPES[name]
    atoms = molecule(parent)
    all_masses = atoms.get_masses()
    for index, mass in masses.items():
        all_masses[index] = mass
    atoms.set_masses(all_masses)
    assert symmetry_number(atoms) == expected


def test_entropy_of_argon_is_that_of_sackur_and_tetrode() -> None:
    (row,) = ideal_gas(Atoms("Ar"), [], 0.0, [298.15], pressure_bar=1.0, symmetry=1)
    entropy = row.entropy_eV_per_K * units.mol / units.kJ * 1000.0
    assert entropy == pytest.approx(154.85, abs=0.02)  # J/mol/K, CODATA 154.846
    assert row.enthalpy_eV == pytest.approx(2.5 * units.kB * 298.15)
    assert row.free_energy_eV == pytest.approx(row.enthalpy_eV - 298.15 * row.entropy_eV_per_K)


def test_entropy_of_water_and_oxygen() -> None:
    """Standard entropies of CODATA, with measured vibrations: 188.8 and 205.2 J/mol/K."""
    water = molecule("H2O")
    quanta = np.array([1594.7, 3657.1, 3755.9]) * units.invcm
    (row,) = ideal_gas(water, quanta, -14.2, [298.15], pressure_bar=1.0, symmetry=2)
    per_mol = units.mol / units.kJ * 1000.0
    assert row.entropy_eV_per_K * per_mol == pytest.approx(188.8, abs=0.3)
    oxygen = Atoms("O2", positions=[[0, 0, 0], [0, 0, 1.2075]], info={"spin": 3})
    (row,) = ideal_gas(oxygen, [1580.2 * units.invcm], 0.0, [298.15], pressure_bar=1.0, symmetry=2)
    assert row.entropy_eV_per_K * per_mol == pytest.approx(205.2, abs=0.3)


def test_pressure_lowers_the_entropy_by_its_logarithm() -> None:
    rows = [
        ideal_gas(Atoms("Ar"), [], 0.0, [500.0], pressure_bar=pressure, symmetry=1)[0]
        for pressure in (1.0, 10.0)
    ]
    difference = rows[0].entropy_eV_per_K - rows[1].entropy_eV_per_K
    assert difference == pytest.approx(units.kB * np.log(10.0))


def test_an_adsorbate_has_vibrations_only() -> None:
    """Classical limit: U = 3 kT and S = k sum(1 + ln kT / quantum)."""
    quanta = np.array([0.001, 0.002, 0.003])
    cold, hot = harmonic(quanta, -1.0, [1.0, 1000.0])
    kT = units.kB * 1000.0
    assert cold.internal_energy_eV == pytest.approx(-1.0 + 0.003, abs=1e-5)
    assert hot.internal_energy_eV == pytest.approx(-1.0 + 3.0 * kT, rel=1e-3)
    expected = units.kB * np.sum(1.0 + np.log(kT / quanta))
    assert hot.entropy_eV_per_K == pytest.approx(expected, rel=1e-4)
    assert hot.free_energy_eV == pytest.approx(
        hot.internal_energy_eV - 1000.0 * hot.entropy_eV_per_K
    )
    assert hot.enthalpy_eV is None
