"""Energies, forces and stress of a potential against finite differences and symmetries."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk, fcc111, molecule
from scipy.spatial.transform import Rotation

from ase_geomformer.graph.atom_graph import AtomGraph
from ase_geomformer.potential import Potential

pytestmark = pytest.mark.quick

ALL = ("energy", "energies", "forces", "stress", "stresses")


def tiny_triclinic() -> Atoms:
    """Two atoms in a cell far smaller than the cutoff: most edges join an atom to images."""
    atoms = bulk("Si", "diamond", a=5.43)
    atoms.set_cell(atoms.cell.array @ [[1.0, 0.1, 0.0], [0.0, 0.95, 0.2], [0.05, 0.0, 1.1]], True)
    atoms.positions[1] += [0.11, -0.07, 0.05]
    return atoms


def slab() -> Atoms:
    atoms = fcc111("Si", (2, 1, 2), a=5.0, vacuum=4.0)
    atoms.rattle(0.1, seed=1)
    return atoms


def wire() -> Atoms:
    """Periodic along the second axis only, with an atom outside the cell."""
    atoms = molecule("CH3CH2OH", cell=[[7, 0, 0], [1, 4, 0], [0, 1, 6]], pbc=[False, True, False])
    atoms.positions[0] += [15.0, 0.0, 0.0]
    return atoms


STRUCTURES = {
    "molecule": lambda: molecule("CH3CH2OH", vacuum=3.0),
    "triclinic": tiny_triclinic,
    "slab": slab,
    "wire": wire,
}


@pytest.fixture(params=STRUCTURES)
def atoms(request: pytest.FixtureRequest) -> Atoms:
    return STRUCTURES[request.param]()


def evaluate(potential: Potential, atoms: Atoms, *properties: str) -> dict[str, np.ndarray]:
    graph = AtomGraph.from_atoms(atoms, potential.cutoff, dtype=potential.dtype)
    return {name: tensor.numpy(force=True) for name, tensor in potential(graph, properties).items()}


def energy(potential: Potential, atoms: Atoms) -> float:
    return float(evaluate(potential, atoms, "energy")["energy"][0])


def slope(energy_at: Callable[[float], float], step: float = 1e-3) -> float:
    """Derivative at zero by the five-point formula, whose error is of the fourth order."""
    near = energy_at(step) - energy_at(-step)
    far = energy_at(2 * step) - energy_at(-2 * step)
    return (8.0 * near - far) / (12.0 * step)


def test_forces_are_the_slope_of_the_energy(
    potential: Potential, atoms: Atoms, rng: np.random.Generator
) -> None:
    forces = evaluate(potential, atoms, "forces")["forces"]
    assert np.abs(forces).max() > 0.05
    for _ in range(3):
        direction = rng.normal(size=forces.shape)

        def moved(step: float, direction: np.ndarray = direction) -> float:
            other = atoms.copy()
            other.positions += step * direction
            return energy(potential, other)

        expected = -slope(moved, 1e-4)
        assert np.sum(forces * direction) == pytest.approx(expected, abs=1e-7)


def test_stress_is_the_slope_of_the_energy_under_strain(potential: Potential, atoms: Atoms) -> None:
    stress = evaluate(potential, atoms, "stress")["stress"][0]
    assert np.abs(stress).max() > 1e-4
    for row, column in np.ndindex(3, 3):

        def strained(step: float, row: int = row, column: int = column) -> float:
            strain = np.eye(3)
            strain[row, column] += 0.5 * step
            strain[column, row] += 0.5 * step
            other = atoms.copy()
            other.set_cell(atoms.cell.array @ strain, scale_atoms=False)
            other.positions = atoms.positions @ strain
            return energy(potential, other)

        expected = slope(strained, 1e-4) / atoms.get_volume()
        assert stress[row, column] == pytest.approx(expected, abs=1e-9)


def test_parts_sum_to_the_whole(potential: Potential, atoms: Atoms) -> None:
    results = evaluate(potential, atoms, *ALL)
    np.testing.assert_allclose(results["energies"].sum(), results["energy"][0], rtol=1e-13)
    np.testing.assert_allclose(results["stresses"].sum(axis=0), results["stress"][0], atol=1e-14)
    np.testing.assert_allclose(results["forces"].sum(axis=0), 0.0, atol=1e-12)


def test_translation_wrapping_and_rotation(potential: Potential, atoms: Atoms) -> None:
    before = evaluate(potential, atoms, *ALL)
    turn = Rotation.from_euler("zyx", [0.3, 1.1, -0.7]).as_matrix()
    turned = atoms.copy()
    turned.set_cell(atoms.cell.array @ turn.T)
    turned.positions = (atoms.positions + np.array([1.0, -2.0, 30.0])) @ turn.T
    turned.wrap()
    after = evaluate(potential, turned, *ALL)
    np.testing.assert_allclose(after["energies"], before["energies"], atol=1e-11)
    np.testing.assert_allclose(after["forces"], before["forces"] @ turn.T, atol=1e-11)
    for name in ("stress", "stresses"):
        np.testing.assert_allclose(after[name], turn @ before[name] @ turn.T, atol=1e-12)


def test_torque_vanishes_for_a_molecule(potential: Potential, ethanol: Atoms) -> None:
    forces = evaluate(potential, ethanol, "forces")["forces"]
    np.testing.assert_allclose(np.cross(ethanol.positions, forces).sum(axis=0), 0.0, atol=1e-12)


def test_batch_equals_single(potential: Potential) -> None:
    structures = [make() for make in STRUCTURES.values()]
    structures[0].info.update(charge=1, spin=2)
    graph = AtomGraph.from_atoms(structures, potential.cutoff)
    together = {name: tensor.detach() for name, tensor in potential(graph, ALL).items()}
    apart = [evaluate(potential, atoms, *ALL) for atoms in structures]
    for name in ALL:
        expected = np.concatenate([single[name] for single in apart])
        np.testing.assert_allclose(together[name], expected, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize(
    ("properties", "gradient"),
    [
        (("energy",), False),
        (("energies",), False),
        (("energy", "forces"), True),
        (("stress",), True),
        (("stresses",), True),
    ],
)
def test_only_what_is_asked_is_computed(
    properties: tuple[str, ...], gradient: bool, potential: Potential, ethanol: Atoms
) -> None:
    followed = []
    potential = potential.copy()
    potential.architecture.register_forward_hook(
        lambda module, inputs, outputs: followed.append(outputs["energies"].requires_grad)
    )
    results = evaluate(potential, ethanol, *properties)
    assert set(results) == set(properties)
    assert followed == [gradient]


def test_no_volume_gives_no_stress(potential: Potential, ethanol: Atoms) -> None:
    assert np.isnan(evaluate(potential, ethanol, "stress")["stress"]).all()


def test_forces_under_no_grad(potential: Potential, ethanol: Atoms) -> None:
    expected = evaluate(potential, ethanol, "forces")["forces"]
    with torch.no_grad():
        np.testing.assert_array_equal(evaluate(potential, ethanol, "forces")["forces"], expected)
        assert not torch.is_grad_enabled()


def test_forces_stay_differentiable_when_asked(potential: Potential, ethanol: Atoms) -> None:
    graph = AtomGraph.from_atoms(ethanol, potential.cutoff)
    forces = potential(graph, ("forces",), create_graph=True)["forces"]
    weight = potential.architecture.energy_head.final.weight
    (gradient,) = torch.autograd.grad(forces.pow(2).sum(), weight)
    step = torch.zeros_like(weight)
    step[0, 3] = 1.0

    def loss_at(size: float) -> float:
        with torch.no_grad():
            weight.add_(step, alpha=size)
            loss = float(potential(graph, ("forces",))["forces"].pow(2).sum())
            weight.sub_(step, alpha=size)
        return loss

    assert float(gradient[0, 3]) == pytest.approx(slope(loss_at), rel=1e-6)


def test_isolated_atom_has_its_own_energy_and_no_force(make_potential: Callable) -> None:
    potential = make_potential(reference_energies={"O": -2041.5})
    alone = evaluate(potential, Atoms("O"), "energy", "forces")
    shifted = evaluate(make_potential(), Atoms("O"), "energy")
    assert alone["energy"][0] - shifted["energy"][0] == pytest.approx(-2041.5, abs=1e-9)
    np.testing.assert_array_equal(alone["forces"], 0.0)


def test_reference_energies_keep_their_digits_in_float32(make_potential: Callable) -> None:
    # Five water molecules carry 10^4 eV, where float32 resolves no better than 1 meV.
    reference = {"H": -13.587222780835477, "C": -1029.4130659, "O": -2042.0330099956639}
    exact = make_potential(reference_energies=reference)
    water = Atoms()
    for place in range(5):
        water += Atoms("OH2", [[place * 3.0, 0, 0], [place * 3.0, 0.76, 0.59], [0.2, -0.76, 0.59]])
    single = exact.copy(dtype=torch.float32)
    zero = make_potential().copy(dtype=torch.float32)
    expected = 5 * reference["O"] + 10 * reference["H"]
    difference = energy(single, water) - energy(zero, water)
    assert difference == pytest.approx(expected, abs=1e-9)


def test_float32_is_close_to_float64(make_potential: Callable, atoms: Atoms) -> None:
    exact = make_potential(reference_energies={"C": -1029.4, "O": -2042.0, "Si": -7900.0})
    rounded = evaluate(exact.copy(dtype=torch.float32), atoms, *ALL)
    results = evaluate(exact, atoms, *ALL)
    assert rounded["energy"].dtype == rounded["energies"].dtype == np.float64
    assert rounded["forces"].dtype == np.float32
    np.testing.assert_allclose(rounded["energies"], results["energies"], rtol=0, atol=5e-5)
    scale = np.abs(results["forces"]).max()
    np.testing.assert_allclose(rounded["forces"], results["forces"], rtol=0, atol=2e-5 * scale)
    scale = np.abs(results["stress"]).max()
    np.testing.assert_allclose(rounded["stress"], results["stress"], rtol=0, atol=1e-4 * scale)


def test_copy_restores_exact_constants_after_float32(make_potential: Callable) -> None:
    fresh = make_potential(radial_basis="physnet")
    through = make_potential(radial_basis="physnet").to(torch.float32).copy(dtype=torch.float64)
    names = dict(fresh.named_buffers()).keys() - fresh.state_dict().keys()
    assert names
    for name in names:
        assert torch.equal(through.get_buffer(name), fresh.get_buffer(name)), name
    for name, weight in fresh.state_dict().items():
        assert torch.equal(through.state_dict()[name], weight.float().double()), name


def test_copy_is_independent_and_leaves_the_random_state(potential: Potential) -> None:
    state = torch.get_rng_state()
    copy = potential.copy()
    assert torch.equal(torch.get_rng_state(), state)
    assert not any(weight.requires_grad for weight in copy.parameters())
    assert all(weight.requires_grad for weight in potential.parameters())
    before = copy.architecture.energy_head.final.weight.clone()
    with torch.no_grad():
        potential.architecture.energy_head.final.weight.zero_()
    assert torch.equal(copy.architecture.energy_head.final.weight, before)


def test_refusals(make_potential: Callable, ethanol: Atoms) -> None:
    potential = make_potential("H C")
    with pytest.raises(ValueError, match=r"does not know O \(Z=8\); it was made for H, C"):
        potential.check_elements(ethanol.numbers)
    graph = AtomGraph.from_atoms(ethanol, potential.cutoff)
    with pytest.raises(ValueError, match="unknown properties \\['dipole'\\]"):
        potential(graph, ("dipole",))
    with pytest.raises(ValueError, match="'Xx' is not a chemical element"):
        make_potential("H Xx")
    with pytest.raises(ValueError, match="at least one element"):
        make_potential("")
