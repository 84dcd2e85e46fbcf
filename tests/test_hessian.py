"""Exact Hessians and finite differences; every architecture is checked by its own suite."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk, molecule
from ase.calculators.emt import EMT
from ase.calculators.lj import LennardJones

from ase_geomformer import PotentialCalculator
from ase_geomformer.architectures import build
from ase_geomformer.evaluate import BatchEvaluator
from ase_geomformer.graph.atom_graph import AtomGraph
from ase_geomformer.hessian import _slope, finite_difference_hessian, hessian, kept_for_gradients
from ase_geomformer.physics import build_terms
from ase_geomformer.potential import Potential

pytestmark = pytest.mark.quick

TERMS: dict[str, dict[str, Any]] = {
    "zbl": {},
    "electrostatics": {"damping_length": 2.0, "long_range_cutoff": 8.0},
    "dispersion": {"damping_scale": 0.7, "long_range_cutoff": 7.0},
}


def crystal() -> Atoms:
    """Triclinic, two elements, its edges shorter than a cutoff: an atom meets its own images."""
    atoms = bulk("Si", a=5.43)
    atoms.numbers[1] = 8
    atoms.set_cell(atoms.cell.array @ [[1.0, 0.1, 0.0], [0.0, 0.95, 0.2], [0.05, 0.0, 1.1]], True)
    atoms.positions[1] += [0.11, -0.07, 0.05]
    return atoms


def ion() -> Atoms:
    atoms = molecule("CH3CH2OH")
    atoms.rattle(0.05, seed=1)
    atoms.info["charge"] = -1
    return atoms


STRUCTURES = {"crystal": crystal, "ion": ion}


@pytest.fixture(scope="module")
def charged() -> Potential:
    """So3krates with charges, and terms over far pairs."""
    settings = {
        "cutoff": 3.8,
        "num_features": 16,
        "num_layers": 2,
        "num_heads": 2,
        "degrees": (1, 2),
        "num_radial_basis": 8,
        "energy_width": 8,
        "avg_num_neighbors": 8.0,
        "charge_embedding": True,
        "charge_width": 8,
        "hirshfeld_width": 4,
    }
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        architecture = build("so3krates", settings)
    return Potential(architecture, ["H", "C", "O", "Si"], terms=build_terms(TERMS))


def check(potential: Potential, atoms: Atoms) -> None:
    found = hessian(potential, atoms, device="cpu")
    expected = finite_difference_hessian(potential, atoms, step_A=1e-4, device="cpu")
    scale = np.abs(expected).max()
    assert scale > 1e-3
    np.testing.assert_allclose(found, expected, atol=1e-6 * scale)
    np.testing.assert_allclose(found, found.T, atol=1e-12 * scale)
    by_atom = found.reshape(-1, len(atoms), 3)
    np.testing.assert_allclose(by_atom.sum(axis=1), 0.0, atol=1e-12 * scale)


@pytest.mark.parametrize("structure", STRUCTURES)
def test_far_pairs_count(structure: str, charged: Potential) -> None:
    atoms = STRUCTURES[structure]()
    check(charged, atoms)
    learned = Potential(charged.architecture, charged.symbols)
    difference = hessian(charged, atoms) - hessian(learned, atoms)
    assert np.abs(difference).max() > 1e-3


def test_some_rows_of_some_atoms(charged: Potential) -> None:
    atoms = ion()
    everything = hessian(charged, atoms)
    some = hessian(charged, atoms, rows=[7, 2])
    expected = everything.reshape(9, 3, 27)[[7, 2]].reshape(6, 27)
    np.testing.assert_allclose(some, expected, atol=1e-11)
    differences = finite_difference_hessian(charged, atoms, rows=[7, 2], step_A=1e-4)
    np.testing.assert_allclose(differences, some, atol=1e-5)


@pytest.mark.parametrize("rows", [[9], [-1], [[0, 1]]])
def test_atoms_that_are_not_there_are_refused(rows: Any, charged: Potential) -> None:
    with pytest.raises(ValueError, match="0 to 8"):
        hessian(charged, ion(), rows=rows)


def test_rows_come_in_blocks_that_fit_the_memory(
    charged: Potential, monkeypatch: pytest.MonkeyPatch
) -> None:
    atoms, sizes = ion(), []
    grad = torch.autograd.grad

    def counting(*arguments: Any, **options: Any) -> Any:
        if options.get("is_grads_batched"):
            sizes.append(len(arguments[2]))
        return grad(*arguments, **options)

    monkeypatch.setattr(torch.autograd, "grad", counting)
    everything = hessian(charged, atoms)
    assert sizes == [27]
    one_by_one = hessian(charged, atoms, memory_limit_bytes=1)
    assert sizes[1:] == [1] * 27
    np.testing.assert_allclose(one_by_one, everything, atol=1e-11)


def test_a_row_takes_no_more_memory_than_predicted(charged: Potential) -> None:
    """What five rows more at once allocate, against what the passes before them keep."""
    atoms = crystal() * (2, 2, 1)
    peaks = []
    for limit in (1.0, 1e9):
        with torch.profiler.profile(profile_memory=True) as profile:
            hessian(charged, atoms, rows=[0, 1], memory_limit_bytes=limit, device="cpu")
        peaks.append(peak_bytes(profile))
    graph = AtomGraph.from_atoms(atoms, charged.cutoff, far_cutoff=charged.far_cutoff)
    with kept_for_gradients(charged) as kept:
        _slope(charged, graph, torch.zeros(len(atoms), 3, dtype=torch.float64, requires_grad=True))
    per_row = (peaks[1] - peaks[0]) / 5
    assert 0.05 * kept() < per_row < kept()


def peak_bytes(profile: Any) -> int:
    """Largest sum of allocations less releases."""
    total = peak = 0
    events = profile.profiler.kineto_results.events()
    for event in sorted(events, key=lambda event: event.start_ns()):
        if event.name() == "[memory]":
            total += event.nbytes()
            peak = max(peak, total)
    return peak


def test_a_calculator_lends_its_potential(charged: Potential) -> None:
    """Single precision of molecular dynamics is left, unless it is asked for."""
    atoms = ion()
    single = PotentialCalculator(charged, dtype="float32", device="cpu", neighbors="matscipy")
    exact = hessian(charged, atoms)
    np.testing.assert_allclose(hessian(single, atoms), exact, atol=1e-5 * np.abs(exact).max())
    np.testing.assert_array_equal(
        hessian(BatchEvaluator(charged, device="cpu"), atoms), hessian(charged, atoms)
    )
    rough = hessian(single, atoms, dtype=None)
    assert 1e-7 < np.abs(rough - exact).max() / np.abs(exact).max() < 1e-4


def test_an_atom_alone_has_no_curvature(charged: Potential) -> None:
    np.testing.assert_array_equal(hessian(charged, Atoms("O")), np.zeros((3, 3)))


def test_caller_state_does_not_matter(charged: Potential) -> None:
    atoms = crystal()
    exact = hessian(charged, atoms)
    with torch.no_grad():
        np.testing.assert_array_equal(hessian(charged, atoms), exact)
    with torch.inference_mode():
        np.testing.assert_array_equal(hessian(charged, atoms), exact)


def test_unknown_elements_are_refused(charged: Potential) -> None:
    with pytest.raises(ValueError, match="Cu"):
        hessian(charged, Atoms("Cu"))


def test_any_calculator_by_differences() -> None:
    """Two Lennard-Jones atoms at their minimum 2^(1/6) have the force constant 57.15 eps / s^2."""
    distance = 2.0 ** (1.0 / 6.0)
    pair = Atoms("Ar2", positions=[[0, 0, 0], [0, 0, distance]])
    found = finite_difference_hessian(LennardJones(rc=50.0), pair, step_A=1e-4)
    expected = 72.0 / distance**2
    assert found[2, 2] == pytest.approx(expected, rel=1e-6)
    assert found[2, 5] == pytest.approx(-expected, rel=1e-6)
    assert np.abs(found[[0, 1]]).max() < 1e-6
    copper = bulk("Cu", cubic=True)
    matrix = finite_difference_hessian(EMT(), copper)
    np.testing.assert_allclose(matrix, matrix.T, atol=1e-6)
    with pytest.raises(ValueError, match="positive"):
        finite_difference_hessian(EMT(), copper, step_A=0.0)
