"""Thermal displacements: their springs, their covariance, their energies."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms, units
from ase.build import bulk, molecule
from ase.calculators.emt import EMT
from ase.constraints import FixAtoms

from ase_geomformer.learning.modes import (
    BOND_STIFFNESS,
    FLOOR,
    ThermalModes,
    calibrated_amplitude,
    model_hessian,
)


def test_a_bond_of_covalent_radii_is_a_spring_along_its_axis() -> None:
    from ase.data import covalent_radii

    hessian = model_hessian(Atoms("N2", [[0, 0, 0], [0, 0, 2 * covalent_radii[7]]]))
    along = np.zeros((6, 6))
    along[np.ix_([2, 5], [2, 5])] = BOND_STIFFNESS * np.array([[1, -1], [-1, 1]])
    np.testing.assert_allclose(hessian, along + FLOOR * np.eye(6), atol=1e-12)


def test_the_springs_are_invariant_to_translation_and_turn_with_the_molecule() -> None:
    atoms = molecule("CH3CH2OH")
    springs = model_hessian(atoms) - FLOOR * np.eye(3 * len(atoms))
    np.testing.assert_allclose(springs, springs.T, atol=1e-12)
    shift = np.tile(np.eye(3), (len(atoms), 1))
    np.testing.assert_allclose(springs @ shift, 0.0, atol=1e-10)
    turned = atoms.copy()
    turned.rotate(40, (1, 2, 3))
    np.testing.assert_allclose(
        np.linalg.eigvalsh(model_hessian(turned)), np.linalg.eigvalsh(model_hessian(atoms))
    )


def test_displacements_have_the_covariance_of_the_springs() -> None:
    atoms, rng = molecule("H2O"), np.random.default_rng(0)
    modes = ThermalModes(atoms)
    steps = [(modes.draw(300.0, rng).positions - atoms.positions).ravel() for _ in range(20_000)]
    expected = units.kB * 300.0 * np.linalg.inv(model_hessian(atoms))
    # The standard error of a variance from so many samples is 1 %.
    np.testing.assert_allclose(np.cov(np.array(steps).T), expected, atol=0.05 * expected.max())


def test_fixed_atoms_stay() -> None:
    atoms = bulk("Cu", cubic=True)
    atoms.set_constraint(FixAtoms([0]))
    moved = ThermalModes(atoms).draw(300.0, np.random.default_rng(0))
    assert (moved.positions[0] == atoms.positions[0]).all()
    assert not (moved.positions[1:] == atoms.positions[1:]).any()


def test_the_calibrated_amplitude_gives_thermal_energies() -> None:
    atoms, rng = bulk("Cu", cubic=True) * (2, 2, 1), np.random.default_rng(0)
    modes, calculator = ThermalModes(atoms), EMT()

    def energies(amplitude: float, number: int) -> np.ndarray:
        drawn = (modes.draw(300.0, rng, amplitude) for _ in range(number))
        return np.array([calculator.get_potential_energy(one) for one in drawn])

    lowest = calculator.get_potential_energy(atoms)
    amplitude = calibrated_amplitude(energies(0.5, 5), lowest, len(atoms), 300.0, 0.5)
    thermal = 0.5 * (3 * len(atoms) - 6) * units.kB * 300.0
    found = energies(amplitude, 20).mean() - lowest
    assert found == pytest.approx(thermal, rel=0.4)
