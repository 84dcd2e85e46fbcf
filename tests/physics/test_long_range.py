"""Potentials with electrostatics and dispersion: derivatives, symmetries, batches, cutoffs."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk, molecule
from ase.calculators.calculator import PropertyNotImplementedError
from ase.md.velocitydistribution import MaxwellBoltzmannDistribution
from ase.md.verlet import VelocityVerlet
from ase.units import fs, kcal, mol
from scipy.spatial.transform import Rotation

from ase_geomformer import PotentialCalculator, evaluate_many, load_potential
from ase_geomformer.architectures import build
from ase_geomformer.checkpoint.folder import Card, save_potential, verify
from ase_geomformer.graph.atom_graph import AtomGraph
from ase_geomformer.graph.padding import pad_graph
from ase_geomformer.physics import LongRange, boundaries_of, build_terms
from ase_geomformer.potential import Potential

SETTINGS = {
    "cutoff": 3.8,
    "num_features": 16,
    "num_layers": 2,
    "num_heads": 2,
    "degrees": (1, 2),
    "num_radial_basis": 8,
    "avg_num_neighbors": 8.0,
    "energy_width": 8,
    "charge_embedding": True,
    "charge_width": 8,
    "hirshfeld_width": 4,
}
TERMS: dict[str, dict[str, Any]] = {
    "zbl": {},
    "electrostatics": {"damping_length": 2.0, "long_range_cutoff": 8.0},
    "dispersion": {"damping_scale": 0.7, "long_range_cutoff": 7.0},
}
ALL = ("energy", "energies", "forces", "stress", "stresses", "charges", "hirshfeld_ratios")


@pytest.fixture(scope="module")
def potential() -> Potential:
    """Random weights; charges of some tenths of e and ratios around one."""
    torch.manual_seed(0)
    architecture = build("so3krates", SETTINGS)
    return Potential(architecture, ["H", "C", "O", "Si"], terms=build_terms(TERMS)).eval()


def crystal() -> Atoms:
    """Triclinic, its edges shorter than either cutoff."""
    atoms = bulk("Si", a=5.43)
    atoms.numbers[1] = 8
    atoms.set_cell(atoms.cell.array @ [[1.0, 0.1, 0.0], [0.0, 0.95, 0.2], [0.05, 0.0, 1.1]], True)
    atoms.positions[1] += [0.11, -0.07, 0.05]
    return atoms


def ion() -> Atoms:
    atoms = molecule("CH3CH2OH", vacuum=4.0)
    atoms.info["charge"] = -1
    return atoms


STRUCTURES = {"crystal": crystal, "ion": ion}


def graph_of(potential: Potential, atoms: Atoms | list[Atoms]) -> AtomGraph:
    return AtomGraph.from_atoms(
        atoms, potential.cutoff, far_cutoff=potential.far_cutoff, dtype=potential.dtype
    )


def evaluate(
    potential: Potential, atoms: Atoms | list[Atoms], properties: tuple[str, ...] = ALL
) -> dict[str, np.ndarray]:
    results = potential(graph_of(potential, atoms), properties)
    return {name: tensor.numpy(force=True) for name, tensor in results.items()}


def energy(potential: Potential, atoms: Atoms) -> float:
    return float(evaluate(potential, atoms, ("energy",))["energy"][0])


@pytest.fixture(params=STRUCTURES)
def atoms(request: pytest.FixtureRequest) -> Atoms:
    return STRUCTURES[request.param]()


def test_every_term_counts(potential: Potential, atoms: Atoms) -> None:
    """And together they are the energy."""
    graph = graph_of(potential, atoms)
    terms = potential.energy_terms(graph)
    assert list(terms) == ["architecture", *TERMS]
    for name in ("architecture", "electrostatics", "dispersion"):
        assert terms[name].abs().max() > 1e-3, name
    total = potential(graph, ("energies",))["energies"]
    torch.testing.assert_close(sum(terms.values()), total, rtol=0, atol=1e-13)


def test_forces_are_the_slope_of_the_energy(
    potential: Potential, atoms: Atoms, rng: np.random.Generator
) -> None:
    """Through distances of far pairs, and through the charges and ratios they are made with."""
    forces = evaluate(potential, atoms, ("forces",))["forces"]
    direction = rng.normal(size=forces.shape)
    values = []
    for step in (1e-4, -1e-4, 2e-4, -2e-4):
        moved = atoms.copy()
        moved.positions += step * direction
        values.append(energy(potential, moved))
    slope = (8 * (values[0] - values[1]) - (values[2] - values[3])) / 12e-4
    assert np.sum(forces * direction) == pytest.approx(-slope, abs=1e-8)


def test_stress_is_the_slope_under_strain(potential: Potential, atoms: Atoms) -> None:
    stress = evaluate(potential, atoms, ("stress",))["stress"][0]
    for row, column in ((0, 0), (1, 2), (0, 1)):
        values = []
        for step in (1e-4, -1e-4, 2e-4, -2e-4):
            strain = np.eye(3)
            strain[row, column] += 0.5 * step
            strain[column, row] += 0.5 * step
            strained = atoms.copy()
            strained.set_cell(atoms.cell.array @ strain)
            strained.positions = atoms.positions @ strain
            values.append(energy(potential, strained))
        slope = (8 * (values[0] - values[1]) - (values[2] - values[3])) / 12e-4
        assert stress[row, column] == pytest.approx(slope / atoms.get_volume(), abs=1e-9)


def test_parts_sum_to_the_whole(potential: Potential, atoms: Atoms) -> None:
    results = evaluate(potential, atoms)
    np.testing.assert_allclose(results["stresses"].sum(axis=0), results["stress"][0], atol=1e-13)
    np.testing.assert_allclose(results["forces"].sum(axis=0), 0.0, atol=1e-12)
    total = atoms.info.get("charge", 0)
    assert results["charges"].sum() == pytest.approx(total, abs=1e-12)
    assert np.ptp(results["charges"]) > 1e-3
    assert (results["hirshfeld_ratios"] > 0).all()


def test_rotation_inversion_and_images(potential: Potential, atoms: Atoms) -> None:
    before = evaluate(potential, atoms)
    turn = -Rotation.from_euler("zyx", [0.3, 1.1, -0.7]).as_matrix()
    turned = atoms.copy()
    turned.set_cell(atoms.cell.array @ turn.T)
    turned.positions = (atoms.positions + np.array([1.0, -2.0, 30.0])) @ turn.T
    turned.wrap()
    after = evaluate(potential, turned)
    for name in ("energies", "charges", "hirshfeld_ratios"):
        np.testing.assert_allclose(after[name], before[name], atol=1e-11)
    np.testing.assert_allclose(after["forces"], before["forces"] @ turn.T, atol=1e-11)
    np.testing.assert_allclose(after["stress"], turn @ before["stress"] @ turn.T, atol=1e-12)


@pytest.mark.parametrize("repeats", [(2, 1, 1), (1, 2, 3)])
def test_supercells(potential: Potential, repeats: tuple[int, int, int]) -> None:
    copies = int(np.prod(repeats))
    one, many = evaluate(potential, crystal()), evaluate(potential, crystal() * repeats)
    for name in ("energies", "charges"):
        np.testing.assert_allclose(many[name], np.tile(one[name], copies), atol=1e-10)
    np.testing.assert_allclose(many["forces"], np.tile(one["forces"], (copies, 1)), atol=1e-10)
    np.testing.assert_allclose(many["stress"], one["stress"], atol=1e-11)


def test_batch_is_its_structures(potential: Potential) -> None:
    """Ions, crystals and a lone atom keep their own charge; ghosts change nothing."""
    structures = [crystal(), ion(), Atoms("O", info={"charge": 2}), molecule("CH3CH2OH")]
    singles = [evaluate(potential, atoms) for atoms in structures]
    together = evaluate(potential, structures)
    graph = graph_of(potential, structures)
    sizes = (graph.num_atoms + 3, graph.num_edges + 9, potential.cutoff, graph.num_far_pairs + 11)
    results = potential(pad_graph(graph, *sizes), ALL)
    padded = {name: t.numpy(force=True) for name, t in results.items()}
    for name in ALL:
        expected = np.concatenate([single[name] for single in singles])
        np.testing.assert_allclose(together[name], expected, rtol=0, atol=1e-12)
        np.testing.assert_allclose(padded[name][: len(expected)], expected, rtol=0, atol=1e-12)


def test_lone_ion_has_its_charge_and_no_force(potential: Potential) -> None:
    results = evaluate(potential, Atoms("O", info={"charge": 2}))
    assert results["charges"] == pytest.approx([2.0])
    np.testing.assert_array_equal(results["forces"], 0.0)


def test_atoms_on_one_spot_give_numbers(potential: Potential) -> None:
    atoms = molecule("CH3CH2OH")
    atoms.positions[1] = atoms.positions[0]
    assert all(
        np.isfinite(value).all() for value in evaluate(potential, atoms, ("forces",)).values()
    )


def test_without_a_cutoff_all_pairs_attract(potential: Potential) -> None:
    """Two ions 100 Å apart: Coulomb's law between their total charges."""
    free = potential.copy(long_range_cutoff=None)
    assert (potential.far_cutoff, free.far_cutoff) == (8.0, np.inf)
    far = Atoms("O2", [[0, 0, 0], [0, 0, 100.0]], info={"charge": 2})
    forces = evaluate(free, far, ("forces",))["forces"]
    assert forces[1, 2] == pytest.approx(14.3996454 / 100.0**2, rel=1e-5)
    with pytest.raises(ValueError, match="infinitely many.* summed over all images by Ewald"):
        graph_of(free, crystal())


def test_single_precision_is_close(potential: Potential, atoms: Atoms) -> None:
    exact = evaluate(potential, atoms)
    rounded = evaluate(potential.copy(dtype=torch.float32), atoms)
    assert rounded["charges"].dtype == np.float32
    for name in ("energies", "forces", "charges", "hirshfeld_ratios"):
        np.testing.assert_allclose(rounded[name], exact[name], rtol=0, atol=5e-5)


def test_graph_without_far_pairs_is_refused(potential: Potential) -> None:
    graph = AtomGraph.from_atoms(ion(), potential.cutoff)
    with pytest.raises(
        ValueError, match=r"needs the pairs up to 8.0 Å.*far_cutoff=potential\.far_"
    ):
        potential(graph)


def test_terms_that_are_added_later_ask_for_their_far_pairs() -> None:
    potential = Potential(build("so3krates", SETTINGS), "HCO")
    assert potential.far_cutoff == 0.0
    potential.terms.update(build_terms({"electrostatics": {"long_range_cutoff": 8.0}}))
    assert potential.far_cutoff == 8.0
    with pytest.raises(ValueError, match="needs the pairs up to 8"):
        potential(AtomGraph.from_atoms(ion(), potential.cutoff))


def test_term_needs_what_the_architecture_gives() -> None:
    architecture = build("so3krates", {**SETTINGS, "charge_width": None})
    terms = build_terms({"electrostatics": {}})
    with pytest.raises(
        ValueError, match="'electrostatics' needs charges, and so3krates .* gives energies, hirsh"
    ):
        Potential(architecture, ["H"], terms=terms)


def test_other_outputs_are_asked_for_by_name(potential: Potential) -> None:
    assert potential.properties[-2:] == ("charges", "hirshfeld_ratios")
    plain = Potential(build("so3krates", {"avg_num_neighbors": 8.0}), ["H"])
    with pytest.raises(ValueError, match=r"unknown properties \['charges'\]"):
        plain(AtomGraph.from_atoms(Atoms("H"), 5.0), ("charges",))
    with pytest.raises(ValueError, match="long_range_cutoff=9.0 has nothing to act on"):
        plain.copy(long_range_cutoff=9.0)


# --- through ASE --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def saved(potential: Potential, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("potential") / "long-range"
    save_potential(potential, folder, Card("long-range"), [crystal(), ion()])
    return folder


def test_saved_and_loaded(saved: Path, potential: Potential) -> None:
    loaded = load_potential(saved)
    assert loaded.terms_settings == potential.terms_settings
    assert max(verify(loaded).values()) == 0.0
    assert load_potential(saved, long_range_cutoff=None).far_cutoff == np.inf
    assert load_potential(saved, long_range_cutoff=6.0).far_cutoff == 6.0


def test_calculator_gives_charges_and_dipole(saved: Path, potential: Potential) -> None:
    calculator = PotentialCalculator(saved, device="cpu", long_range="published")
    assert calculator.implemented_properties[-2:] == ["charges", "dipole"]
    atoms = ion()
    atoms.calc = calculator
    expected = evaluate(potential, atoms)
    np.testing.assert_allclose(atoms.get_forces(), expected["forces"], atol=1e-12)
    np.testing.assert_allclose(atoms.get_charges(), expected["charges"], atol=1e-12)
    dipole = expected["charges"] @ atoms.positions
    np.testing.assert_allclose(atoms.get_dipole_moment(), dipole, atol=1e-12)
    assert calculator.graphs.far_pairs.updates == 1  # one evaluation gave all


def test_calculator_without_charges_does_not_promise_them(ethanol: Atoms) -> None:
    plain = Potential(build("so3krates", {"avg_num_neighbors": 8.0}), ["H", "C", "O"])
    ethanol.calc = PotentialCalculator(plain, device="cpu")
    assert "charges" not in ethanol.calc.implemented_properties
    with pytest.raises(PropertyNotImplementedError):
        ethanol.get_charges()
    with pytest.raises(ValueError, match="nothing to act on"):
        PotentialCalculator(plain, device="cpu", long_range_cutoff=None)


def fitting(potential: Potential, atoms: Atoms) -> Potential:
    """The potential with the long-range sums of a structure's boundaries."""
    return potential.with_terms(LongRange().terms(potential.terms_settings, boundaries_of(atoms)))


def slab() -> Atoms:
    atoms = crystal()
    atoms.pbc = [True, False, True]
    return atoms


def wire() -> Atoms:
    atoms = crystal()
    atoms.pbc = [False, False, True]
    return atoms


EVERY_KIND = [ion, wire, slab, crystal]


@pytest.mark.parametrize("make", EVERY_KIND)
def test_each_structure_gets_the_sum_of_its_boundaries(
    saved: Path, potential: Potential, make: Any, rng: np.random.Generator
) -> None:
    """Along a walk, and after structures of other kinds."""
    calculator = PotentialCalculator(saved, device="cpu")
    for other in EVERY_KIND:
        calculator.get_property("energy", other())
    atoms = make()
    reference = fitting(potential, atoms)
    for _ in range(3):
        atoms.positions += rng.normal(scale=0.03, size=atoms.positions.shape)
        expected = evaluate(reference, atoms, ("energy", "forces"))
        found = calculator.get_property("forces", atoms)
        np.testing.assert_allclose(found, expected["forces"], atol=1e-11)
        energy = calculator.get_property("energy", atoms)
        assert energy == pytest.approx(expected["energy"][0], abs=1e-10)


@pytest.mark.parametrize("make", [slab, crystal])
def test_forces_and_stress_are_slopes_with_each_sum(saved: Path, make: Any) -> None:
    calculator = PotentialCalculator(saved, device="cpu")
    atoms = make()
    forces = calculator.get_property("forces", atoms)
    stress = calculator.get_property("stress", atoms)
    step = 1e-4

    def slope(change: Callable[[Atoms, float], None]) -> float:
        energies = []
        for sign in (1.0, -1.0):
            moved = atoms.copy()
            change(moved, sign * step)
            energies.append(sign * float(calculator.get_property("energy", moved)))
        return sum(energies) / (2.0 * step)

    def shift(moved: Atoms, by: float) -> None:
        moved.positions[1, 1] += by

    assert -slope(shift) == pytest.approx(forces[1, 1], abs=1e-6)
    for component, (row, column) in enumerate([(0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1)]):

        def strain(moved: Atoms, by: float, row: int = row, column: int = column) -> None:
            deformation = np.eye(3)
            deformation[row, column] += by / 2
            deformation[column, row] += by / 2
            moved.set_cell(moved.cell.array @ deformation, scale_atoms=True)

        expected = slope(strain) / atoms.get_volume()
        assert expected == pytest.approx(stress[component], abs=1e-7)


def test_a_molecule_in_a_wide_cell_is_a_molecule(saved: Path) -> None:
    """The kinds of sums agree where a structure may be seen as any of them, kcal/mol."""
    calculator = PotentialCalculator(saved, device="cpu")
    free = molecule("CH3CH2OH")
    expected = calculator.get_property("energy", free)
    for pbc in (True, [True, True, False], [True, False, False]):
        boxed = free.copy()
        boxed.center(vacuum=20.0)
        boxed.pbc = pbc
        found = calculator.get_property("energy", boxed)
        assert found == pytest.approx(expected, abs=0.05 * kcal / mol)


def test_structures_of_all_kinds_in_one_list(saved: Path) -> None:
    """Order and results are those of single structures."""
    structures = [crystal(), ion(), slab(), molecule("H2O"), wire(), crystal(), molecule("CO")]
    structures[5].rattle(0.05, seed=1)
    calculator = PotentialCalculator(saved, device="cpu")
    for found, atoms in zip(evaluate_many(structures, calculator), structures, strict=True):
        expected = calculator.get_property("energy", atoms)
        assert found["energy"] == pytest.approx(expected, abs=1e-10)
        np.testing.assert_allclose(
            found["forces"], calculator.get_property("forces", atoms), atol=1e-10
        )


def test_no_cutoff_for_a_crystal_is_told_what_helps(saved: Path) -> None:
    calculator = PotentialCalculator(saved, device="cpu", long_range_cutoff=None)
    with pytest.raises(ValueError, match="leave it out, .* summed over all images by Ewald"):
        calculator.get_property("energy", crystal())


def test_dynamics_of_a_crystal_keeps_its_energy(saved: Path) -> None:
    """With Ewald's sum: the drift falls as the square of the time step."""
    drifts = []
    for timestep in (0.5, 0.25):
        atoms = crystal().repeat((2, 1, 1))
        atoms.calc = PotentialCalculator(saved, device="cpu")
        MaxwellBoltzmannDistribution(atoms, temperature_K=300, rng=np.random.default_rng(0))
        dynamics = VelocityVerlet(atoms, timestep * fs)
        energies = []
        dynamics.attach(lambda a=atoms, e=energies: e.append(a.get_total_energy()))
        dynamics.run(int(20.0 / timestep))
        drifts.append(np.ptp(energies))
    assert drifts[0] < 0.01
    assert drifts[1] < 0.4 * drifts[0]


@pytest.mark.parametrize(("make", "cutoff"), [(crystal, 6.0), (ion, None), (ion, 20.0)])
def test_cutoff_of_the_calculator(
    saved: Path, make: Any, cutoff: float | None, rng: np.random.Generator
) -> None:
    """Along a walk, with pairs kept from step to step."""
    atoms = make()
    atoms.calc = PotentialCalculator(saved, device="cpu", long_range_cutoff=cutoff)
    reference = atoms.calc.potential
    assert reference.far_cutoff == (np.inf if cutoff is None else cutoff)
    for _ in range(4):
        atoms.positions += rng.normal(scale=0.03, size=atoms.positions.shape)
        expected = evaluate(reference, atoms, ("forces",))["forces"]
        np.testing.assert_allclose(atoms.get_forces(), expected, atol=1e-12)
    assert atoms.calc.graphs.far_pairs.builds < atoms.calc.graphs.far_pairs.updates == 4
    again = pickle.loads(pickle.dumps(atoms.calc))
    assert again.get_potential_energy(atoms) == atoms.get_potential_energy()


def test_evaluate_many_gives_charges_and_dipoles(saved: Path, potential: Potential) -> None:
    structures = [ion(), crystal(), molecule("CH3CH2OH")]
    found = evaluate_many(structures, saved, ("energy", "charges", "dipole"), device="cpu")
    for atoms, results in zip(structures, found, strict=True):
        expected = evaluate(fitting(potential, atoms), atoms, ("energy", "charges"))
        assert results["energy"] == pytest.approx(expected["energy"][0], abs=1e-11)
        np.testing.assert_allclose(results["charges"], expected["charges"], atol=1e-12)
        dipole = expected["charges"] @ atoms.positions
        np.testing.assert_allclose(results["dipole"], dipole, atol=1e-11)
