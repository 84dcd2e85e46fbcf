from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms, units
from ase.build import add_adsorbate, bulk, fcc111, molecule
from ase.calculators.emt import EMT
from ase.calculators.lj import LennardJones
from ase.constraints import FixAtoms, FixBondLength
from ase.vibrations.data import VibrationsData

from ase_geomformer.evaluate import as_evaluator
from ase_geomformer.hessian import finite_difference_hessian
from ase_geomformer.recipes.constraints import FreeDirections
from ase_geomformer.recipes.modes.derivatives import curvature
from ase_geomformer.recipes.modes.normal_modes import geometry_kind, normal_modes


def springs(atoms: Atoms, stiffness: float = 30.0) -> np.ndarray:
    """Hessian of springs between all pairs of atoms, at rest at the present distances."""
    number = len(atoms)
    matrix = np.zeros((number, 3, number, 3))
    for i in range(number):
        for j in range(i):
            bond = atoms.positions[i] - atoms.positions[j]
            bond /= np.linalg.norm(bond)
            block = stiffness * np.outer(bond, bond)
            matrix[i, :, i] += block
            matrix[j, :, j] += block
            matrix[i, :, j] -= block
            matrix[j, :, i] -= block
    return matrix.reshape(3 * number, 3 * number)


def test_a_diatomic_vibrates_at_the_root_of_k_over_mu() -> None:
    """Lennard-Jones at the minimum 2^(1/6) sigma: k = 72 eps / (2^(1/3) sigma^2)."""
    epsilon, sigma = 0.0104, 3.4
    distance = 2.0 ** (1.0 / 6.0) * sigma
    pair = Atoms("ArNe", positions=[[1, 2, 3], [1, 2 + 0.6 * distance, 3 + 0.8 * distance]])
    calculator = LennardJones(epsilon=epsilon, sigma=sigma, rc=100.0, smooth=False)
    matrix = finite_difference_hessian(calculator, pair, step_A=1e-4)
    modes = normal_modes(pair, matrix)
    stiffness = 72.0 * epsilon / distance**2
    masses = pair.get_masses()
    reduced = masses.prod() / masses.sum()
    omega = np.sqrt(stiffness * units._e / 1e-20 / (reduced * units._amu))
    expected = omega / (2.0 * np.pi * 100.0 * units._c)
    assert modes.frequencies_per_cm == pytest.approx([expected], rel=1e-5)
    assert modes.frequencies_THz == pytest.approx([omega / 2e12 / np.pi], rel=1e-5)
    assert modes.energies_eV == pytest.approx([units._hbar * omega / units._e], rel=1e-5)
    assert modes.zero_point_energy_eV == pytest.approx(0.5 * modes.energies_eV[0])
    assert np.abs(modes.whole_per_cm).max() < 0.5
    # Against each other, the lighter atom further.
    along = modes.vectors[0] @ (pair.positions[1] - pair.positions[0]) / distance
    assert along[0] / along[1] == pytest.approx(-masses[1] / masses[0], rel=1e-6)
    assert np.linalg.norm(modes.vectors[0]) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("name", "kind", "count"),
    [
        ("H2O", "nonlinear", 3),
        ("CO2", "linear", 4),
        ("C2H2", "linear", 7),
        ("C6H6", "nonlinear", 30),
    ],
)
def test_what_is_left_is_vibrations(name: str, kind: str, count: int) -> None:
    """Springs do not resist bending a line: those modes stay, at zero, and are not rotations."""
    atoms = molecule(name)
    matrix = springs(atoms)
    modes = normal_modes(atoms, matrix)
    assert geometry_kind(atoms.positions) == kind
    assert len(modes.frequencies_per_cm) == count
    assert np.abs(modes.whole_per_cm).max() < 1e-3
    # No mode moves the centre of mass or turns the molecule.
    masses = atoms.get_masses()[:, None]
    centred = atoms.positions - atoms.get_center_of_mass()
    assert np.abs((masses * modes.vectors).sum(axis=1)).max() < 1e-10
    assert np.abs(np.cross(centred, masses * modes.vectors).sum(axis=1)).max() < 1e-9
    everything = np.sort(VibrationsData.from_2d(atoms, matrix).get_frequencies().real)
    stiff = everything[everything > 1.0]
    found = modes.frequencies_per_cm
    np.testing.assert_allclose(found[found > 1.0], stiff, rtol=1e-9)


def test_reduced_masses() -> None:
    """omega^2 is the curvature along a mode by its reduced mass."""
    atoms = molecule("H2O")
    matrix = springs(atoms)
    modes = normal_modes(atoms, matrix)
    for vector, mass, energy in zip(
        modes.vectors, modes.reduced_masses_amu, modes.energies_eV, strict=True
    ):
        stiffness = vector.ravel() @ matrix @ vector.ravel()
        quantum = units._hbar * units.m / np.sqrt(units._e * units._amu)
        assert energy == pytest.approx(quantum * np.sqrt(stiffness / mass))


def test_an_atom_alone_has_no_modes() -> None:
    modes = normal_modes(Atoms("He"), np.zeros((3, 3)))
    assert modes.frequencies_per_cm.shape == (0,)
    assert modes.zero_point_energy_eV == 0.0


def test_a_crystal_keeps_its_rotations() -> None:
    copper = bulk("Cu", cubic=True)
    matrix = finite_difference_hessian(EMT(), copper)
    assert len(normal_modes(copper, matrix).frequencies_per_cm) == 9
    assert len(normal_modes(copper, matrix, "none").frequencies_per_cm) == 12


def test_an_imaginary_mode_is_negative() -> None:
    atoms = molecule("H2O")
    matrix = springs(atoms)
    stretched = normal_modes(atoms, matrix)
    weights = np.repeat(atoms.get_masses(), 3)
    mode = stretched.vectors[2].ravel() * weights
    # Take the curvature along the stiffest mode away, twice.
    square = (stretched.energies_eV[2] / 0.06465415) ** 2
    matrix = (
        matrix
        - 2.0
        * square
        * stretched.reduced_masses_amu[2]
        * np.outer(mode, mode)
        / (mode @ stretched.vectors[2].ravel()) ** 2
    )
    found = normal_modes(atoms, matrix)
    assert list(found.imaginary) == [0]
    assert found.frequencies_per_cm[0] == pytest.approx(-stretched.frequencies_per_cm[2], rel=1e-4)
    assert found.zero_point_energy_eV == pytest.approx(0.5 * stretched.energies_eV[:2].sum())


def test_fixed_atoms_stand_still_as_ase_has_it() -> None:
    """An oxygen atom on copper by EMT, beside ase.vibrations' own algebra."""
    slab = fcc111("Cu", (2, 2, 2), vacuum=6.0)
    add_adsorbate(slab, "O", 1.2, "fcc")
    slab.set_constraint(FixAtoms(indices=range(8)))
    assert list(FreeDirections.of(slab, "vibrate").free_atoms) == [8]
    matrix, method = curvature(as_evaluator(EMT()), slab, step_A=0.01)
    assert method == "finite-difference"
    assert matrix.shape == (3, 3)
    modes = normal_modes(slab, matrix)
    reference = VibrationsData.from_2d(slab, matrix, indices=[8]).get_frequencies()
    signed = np.sort(np.where(reference.imag > 0, -reference.imag, reference.real))
    np.testing.assert_allclose(modes.frequencies_per_cm, signed, rtol=1e-9)
    assert not modes.vectors[:, :8].any()


def test_other_constraints_are_refused() -> None:
    atoms = molecule("H2O")
    atoms.set_constraint(FixBondLength(0, 1))
    with pytest.raises(ValueError, match="FixBondLength"):
        FreeDirections.of(atoms, "vibrate")
    atoms.set_constraint(FixAtoms([0, 1, 2]))
    with pytest.raises(ValueError, match="all atoms are fixed"):
        FreeDirections.of(atoms, "vibrate")


def test_exact_needs_a_potential() -> None:
    with pytest.raises(ValueError, match="EMT is another calculator"):
        curvature(as_evaluator(EMT()), molecule("H2O"), method="exact")
