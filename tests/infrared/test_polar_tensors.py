"""Derivatives of the dipole: against finite differences and sum rules."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import molecule

from ase_geomformer import PotentialCalculator
from ase_geomformer.infrared import finite_difference_polar_tensors, polar_tensors
from ase_geomformer.physics import build_terms
from ase_geomformer.potential import Potential

pytestmark = pytest.mark.quick


@pytest.fixture
def charged(make_potential: Callable[..., Potential]) -> Potential:
    """With charges, and energies that depend on them."""
    bare = make_potential("H C O", num_features=16, cutoff=3.8, charge_width=8, hirshfeld_width=4)
    return Potential(
        bare.architecture,
        bare.elements,
        terms=build_terms({"electrostatics": {}, "dispersion": {}}),
    )


@pytest.fixture(params=[0, -1])
def atoms(request: pytest.FixtureRequest) -> Atoms:
    atoms = molecule("CH3CH2OH")
    atoms.rattle(0.05, seed=1)
    atoms.info["charge"] = request.param
    return atoms


def test_as_finite_differences_have_it(charged: Potential, atoms: Atoms) -> None:
    found = polar_tensors(charged, atoms, device="cpu")
    assert found.shape == (9, 3, 3)
    expected = finite_difference_polar_tensors(charged, atoms, step_A=1e-4, device="cpu")
    np.testing.assert_allclose(found, expected, atol=1e-7)
    # They are more than the charges: charges follow the atoms.
    calculator = PotentialCalculator(charged, device="cpu", dtype="float64")
    charges = calculator.get_property("charges", atoms)
    assert np.abs(found - charges[:, None, None] * np.eye(3)).max() > 1e-3
    # A calculator lends its potential.
    np.testing.assert_allclose(polar_tensors(calculator, atoms), found, atol=1e-12)
    some = polar_tensors(charged, atoms, rows=[7, 2], device="cpu")
    np.testing.assert_allclose(some, found[[7, 2]], atol=1e-12)


def test_sum_rules(charged: Potential, atoms: Atoms) -> None:
    """A shift of all atoms moves the total charge; a rotation turns the dipole."""
    found = polar_tensors(charged, atoms, device="cpu")
    charge = atoms.info["charge"]
    np.testing.assert_allclose(found.sum(axis=0), charge * np.eye(3), atol=1e-10)
    calculator = PotentialCalculator(charged, device="cpu", dtype="float64")
    dipole = calculator.get_property("dipole", atoms)
    for axis in np.eye(3):
        turning = np.cross(axis, atoms.positions)
        np.testing.assert_allclose(
            np.einsum("nab,nb->a", found, turning), np.cross(axis, dipole), atol=1e-10
        )


def test_no_setting_of_the_caller_is_changed(charged: Potential, atoms: Atoms) -> None:
    with torch.inference_mode():
        first = polar_tensors(charged, atoms, device="cpu", dtype=None)
        assert torch.is_inference_mode_enabled()
    np.testing.assert_array_equal(first, polar_tensors(charged, atoms, device="cpu", dtype=None))


def test_what_has_no_dipole(charged: Potential, potential: Potential, atoms: Atoms) -> None:
    with pytest.raises(ValueError, match="predicts no charges"):
        polar_tensors(potential, atoms)
    with pytest.raises(ValueError, match="indices of atoms"):
        polar_tensors(charged, atoms, rows=[9])
    atoms.set_cell([10.0] * 3)
    atoms.pbc = [True, False, False]
    for function in (polar_tensors, finite_difference_polar_tensors):
        with pytest.raises(ValueError, match=r"set atoms\.pbc = False"):
            function(charged, atoms)
