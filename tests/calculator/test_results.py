"""What a calculator computes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.calculators.calculator import PropertyNotImplementedError

from ase_geomformer import PotentialCalculator
from ase_geomformer.graph.atom_graph import AtomGraph
from ase_geomformer.potential import Potential
from tests.calculator.counting import evaluations

pytestmark = pytest.mark.quick


def test_results_are_those_of_the_potential(
    calculator: PotentialCalculator, silicon: Atoms
) -> None:
    silicon.calc = calculator
    graph = AtomGraph.from_atoms(silicon, calculator.potential.cutoff)
    names = ("energy", "energies", "forces", "stress", "stresses")
    expected = {
        name: value.numpy(force=True) for name, value in calculator.potential(graph, names).items()
    }
    assert silicon.get_potential_energy() == pytest.approx(expected["energy"][0], rel=1e-14)
    assert silicon.get_potential_energy(force_consistent=True) == silicon.get_potential_energy()
    np.testing.assert_allclose(silicon.get_potential_energies(), expected["energies"])
    np.testing.assert_allclose(silicon.get_forces(), expected["forces"], atol=1e-14)
    tensor = expected["stress"][0]
    voigt = [tensor[0, 0], tensor[1, 1], tensor[2, 2], tensor[1, 2], tensor[0, 2], tensor[0, 1]]
    np.testing.assert_allclose(silicon.get_stress(), voigt, atol=1e-14)
    np.testing.assert_allclose(silicon.get_stress(voigt=False), tensor, atol=1e-14)
    np.testing.assert_allclose(silicon.get_stresses().sum(axis=0), voigt, atol=1e-14)


@pytest.mark.parametrize("dtype", ["float32", "float64", torch.float32])
def test_every_declared_property_is_delivered_in_ase_shapes(
    dtype: torch.dtype | str, potential: Potential, silicon: Atoms
) -> None:
    calculator = PotentialCalculator(potential, device="cpu", dtype=dtype)
    shapes = {"energies": (8,), "forces": (8, 3), "stress": (6,), "stresses": (8, 6)}
    scalars = {"energy", "free_energy"}
    assert set(calculator.implemented_properties) == scalars | shapes.keys()
    for name in calculator.implemented_properties:
        value = calculator.get_property(name, silicon)
        if name in scalars:
            assert type(value) is float
        else:
            assert (value.shape, value.dtype, value.flags.writeable) == (shapes[name], float, True)


def test_tension_is_positive(calculator: PotentialCalculator, silicon: Atoms) -> None:
    silicon.calc = calculator
    before, volume = silicon.get_potential_energy(), silicon.get_volume()
    pressure = -silicon.get_stress()[:3].mean()
    silicon.set_cell(silicon.cell * (1 + 1e-5), scale_atoms=True)
    slope = (silicon.get_potential_energy() - before) / (silicon.get_volume() - volume)
    assert pressure == pytest.approx(-slope, rel=1e-3)


def test_energy_alone_takes_no_gradient(calculator: PotentialCalculator, silicon: Atoms) -> None:
    silicon.calc = calculator
    with evaluations(calculator) as seen:
        silicon.get_potential_energy()
        silicon.get_potential_energy(force_consistent=True)
        silicon.get_potential_energies()
    assert seen == ["energy"]


def test_one_evaluation_serves_a_step_of_molecular_dynamics(
    calculator: PotentialCalculator, silicon: Atoms
) -> None:
    silicon.calc = calculator
    with evaluations(calculator) as seen:
        silicon.get_forces()
        silicon.get_potential_energy()
        silicon.get_stress()
    assert seen == ["gradient"]


def test_results_are_copies(calculator: PotentialCalculator, ethanol: Atoms) -> None:
    ethanol.calc = calculator
    expected = ethanol.get_forces()
    ethanol.get_forces()[:] = 0.0
    np.testing.assert_array_equal(ethanol.get_forces(), expected)


def test_stress_needs_a_volume(calculator: PotentialCalculator, ethanol: Atoms) -> None:
    ethanol.calc = calculator
    forces = ethanol.get_forces()
    for request in (ethanol.get_stress, ethanol.get_stresses):
        with pytest.raises(PropertyNotImplementedError, match="stress needs a cell with a volume"):
            request()
    ethanol.set_cell([[3, 0.1, 0.2], [0.1, 0.2, 0.7], [3.1, 0.3, 0.9]])
    assert ethanol.get_volume() > 0.0, "only rounding makes this cell a volume"
    with pytest.raises(PropertyNotImplementedError, match="stress needs a cell with a volume"):
        ethanol.get_stress()
    np.testing.assert_array_equal(ethanol.get_forces(), forces)


def test_stress_of_a_molecule_in_a_box(calculator: PotentialCalculator, ethanol: Atoms) -> None:
    ethanol.calc = calculator
    ethanol.center(vacuum=3.0)
    small = ethanol.get_stress() * ethanol.get_volume()
    ethanol.center(vacuum=30.0)
    np.testing.assert_allclose(ethanol.get_stress() * ethanol.get_volume(), small, atol=1e-12)


def test_undeclared_properties_are_refused(calculator: PotentialCalculator, ethanol: Atoms) -> None:
    ethanol.calc = calculator
    with pytest.raises(PropertyNotImplementedError):
        ethanol.get_dipole_moment()
    with pytest.raises(PropertyNotImplementedError, match="magmoms cannot be computed; the"):
        calculator.calculate(ethanol, ["energy", "magmoms"])


@pytest.mark.parametrize("skin", [0.0, 0.3, 2.0])
def test_the_skin_changes_no_result(
    skin: float, potential: Potential, silicon: Atoms, rng: np.random.Generator
) -> None:
    fresh = PotentialCalculator(potential, device="cpu", skin=0.0)
    kept = PotentialCalculator(potential, device="cpu", skin=skin)
    for _ in range(5):
        silicon.positions += rng.normal(scale=0.04, size=(8, 3))
        silicon.set_cell(silicon.cell * (1 + 0.01 * rng.normal()), scale_atoms=True)
        for name in ("energy", "forces", "stress"):
            np.testing.assert_allclose(
                kept.get_property(name, silicon), fresh.get_property(name, silicon), atol=1e-12
            )
