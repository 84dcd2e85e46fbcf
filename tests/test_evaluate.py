"""Batched evaluation against one-by-one evaluation."""

from __future__ import annotations

import math
import pickle
from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk, molecule
from ase.calculators.calculator import PropertyNotImplementedError
from ase.calculators.emt import EMT

from ase_geomformer import PotentialCalculator, evaluate_many
from ase_geomformer.acceleration import CompiledPotential
from ase_geomformer.evaluate import BatchEvaluator, SerialEvaluator, as_evaluator
from ase_geomformer.graph.atom_graph import AtomGraph
from ase_geomformer.graph.joint import graphs
from ase_geomformer.neighbors import BACKENDS
from ase_geomformer.neighbors.problem import Problem
from ase_geomformer.neighbors.search import Pairs
from ase_geomformer.potential import Potential

ALL = ("energy", "free_energy", "energies", "forces", "stress", "stresses")


@pytest.fixture
def structures(ethanol: Atoms, silicon: Atoms) -> list[Atoms]:
    """Of very different sizes, periodic or not, one of them charged."""
    ethanol.info.update(charge=1, spin=2)
    boxed = [ethanol, Atoms("O"), silicon, bulk("Si"), molecule("H2O"), silicon * (2, 1, 1)]
    for atoms in boxed:
        if not atoms.pbc.any():
            atoms.center(vacuum=4.0)
    return boxed


def batch_sizes(potential: Potential, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Filled with the number of structures of each evaluation."""
    sizes: list[int] = []
    forward = Potential.forward

    def counting(self: Potential, graph: AtomGraph, *args: object, **kwargs: object) -> object:
        sizes.append(graph.num_structures)
        return forward(self, graph, *args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(Potential, "forward", counting)
    return sizes


@pytest.mark.parametrize("max_edges", [1, 300, 10**6, None])
def test_equals_one_by_one_in_order(
    max_edges: int | None, potential: Potential, structures: list[Atoms]
) -> None:
    results = evaluate_many(structures, potential, ALL, max_edges=max_edges, device="cpu")
    calculator = PotentialCalculator(potential, device="cpu")
    assert len(results) == len(structures)
    for atoms, found in zip(structures, results, strict=True):
        assert set(found) == set(ALL)
        for name in ALL:
            expected = calculator.get_property(name, atoms)
            assert type(found[name]) is type(expected)
            assert np.shape(found[name]) == np.shape(expected)
            np.testing.assert_allclose(found[name], expected, rtol=1e-12, atol=1e-12)


def test_batches_keep_the_budget(
    potential: Potential, ethanol: Atoms, silicon: Atoms, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = batch_sizes(potential, monkeypatch)
    # Ethanol: 9 atoms and 72 edges; the crystal is far over the budget and goes alone.
    evaluate_many([ethanol] * 5 + [silicon] + [ethanol] * 2, potential, max_edges=170, device="cpu")
    assert sizes == [2, 2, 1, 1, 2]


def test_batches_fit_the_memory_predicted(
    potential: Potential, ethanol: Atoms, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = batch_sizes(potential, monkeypatch)
    evaluate = BatchEvaluator(potential, device="cpu")
    graph = AtomGraph.from_atoms(ethanol, potential.cutoff)
    one = evaluate.prepared.memory.predicted_bytes(graph)
    sizes.clear()
    budget = "ase_geomformer.runtime.memory_model.budget_bytes"
    monkeypatch.setattr(budget, lambda device: 3.5 * one)
    evaluate([ethanol] * 8)
    assert sizes == [3, 3, 2]


def test_what_cannot_fit_is_refused_beforehand(
    potential: Potential, silicon: Atoms, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ase_geomformer.runtime.memory_model.free_memory", lambda device: 3e6)
    evaluate = BatchEvaluator(potential, device="cpu")
    large = silicon * (4, 4, 2)
    with pytest.raises(ValueError, match=r"256 atoms with \d+ edges needs about .* GB are free"):
        evaluate([large])
    assert len(evaluate([silicon])) == 1


@pytest.mark.parametrize("far_cutoff", [0.0, 7.0, math.inf])
def test_small_structures_are_searched_together(
    far_cutoff: float, structures: list[Atoms], silicon: Atoms
) -> None:
    if far_cutoff == math.inf:
        structures = [atoms for atoms in structures if not atoms.pbc.any()]
    large = molecule("C60") + molecule("C60") if far_cutoff == math.inf else silicon * 3
    crowd = [*structures, large, *structures]
    found = list(graphs(crowd, 4.0, far_cutoff=far_cutoff))
    assert [graph.num_structures for graph in found] == [len(structures), 1, len(structures)]
    expected = AtomGraph.from_atoms(crowd, 4.0, far_cutoff=far_cutoff)
    for field in fields(AtomGraph):
        joined = getattr(AtomGraph.join(found), field.name)
        assert torch.equal(joined, getattr(expected, field.name)), field.name


def test_a_chosen_backend_searches_one_by_one(
    structures: list[Atoms], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ase_geomformer.graph.joint.joint_graph", None)
    found = list(graphs(structures, 4.0, neighbors="vesin"))
    assert AtomGraph.join(found).num_structures == len(structures)


@pytest.mark.parametrize("properties", ["energy", ("energy",), ("energies", "free_energy")])
def test_energies_alone_take_no_gradient(
    properties: str | tuple[str, ...],
    potential: Potential,
    structures: list[Atoms],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(*args: object, **kwargs: object) -> None:
        raise AssertionError("a gradient was taken")

    monkeypatch.setattr(torch.autograd, "grad", refuse)
    results = evaluate_many(structures, potential, properties, max_edges=500, device="cpu")
    names = {properties} if isinstance(properties, str) else set(properties)
    assert all(set(found) == names for found in results)
    with pytest.raises(AssertionError, match="gradient"):
        evaluate_many(structures, potential, ("forces",), max_edges=500, device="cpu")


def test_generators_and_nothing(potential: Potential, structures: list[Atoms]) -> None:
    assert len(evaluate_many((atoms for atoms in structures), potential, device="cpu")) == 6
    assert evaluate_many([], potential, device="cpu") == []


def test_calculators_lend_their_potential(
    potential: Potential, structures: list[Atoms], monkeypatch: pytest.MonkeyPatch
) -> None:
    calculator = PotentialCalculator(potential, device="cpu", dtype="float32", neighbors="matscipy")
    used: list[str] = []
    find_pairs = BACKENDS["matscipy"].find

    def counting(problem: Problem) -> Pairs:
        used.append("matscipy")
        return find_pairs(problem)

    monkeypatch.setitem(BACKENDS, "matscipy", replace(BACKENDS["matscipy"], find=counting))
    results = evaluate_many(structures, calculator)
    assert len(used) >= len(structures)
    for atoms, found in zip(structures, results, strict=True):
        expected = calculator.get_property("forces", atoms)
        np.testing.assert_allclose(found["forces"], expected, atol=2e-5)
    exact = evaluate_many(structures, calculator, dtype="float64")
    assert abs(exact[0]["energy"] - results[0]["energy"]) > 0.0


def test_results_share_no_memory(potential: Potential, ethanol: Atoms) -> None:
    first, second = evaluate_many([ethanol, ethanol], potential, device="cpu")
    first["forces"][:] = 7.0
    assert abs(second["forces"]).max() < 7.0
    assert first["forces"].base is None


def test_atoms_and_their_calculators_are_left_alone(
    potential: Potential, structures: list[Atoms]
) -> None:
    structures[0].calc = PotentialCalculator(potential, device="cpu")
    before = pickle.dumps(structures[1:])
    evaluate_many(structures, potential, device="cpu")
    assert structures[0].calc.results == {}
    assert pickle.dumps(structures[1:]) == before


def test_structures_are_checked_before_any_is_evaluated(
    potential: Potential, ethanol: Atoms, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = batch_sizes(potential, monkeypatch)
    with pytest.raises(PropertyNotImplementedError, match=r"structure 1 \(C2OH6\): stress needs"):
        evaluate_many([bulk("Si"), ethanol], potential, ("stress",), device="cpu")
    with pytest.raises(PropertyNotImplementedError, match="dipole cannot be computed"):
        evaluate_many([ethanol], potential, ("dipole",), device="cpu")
    assert sizes == []


def test_refusals(potential: Potential, ethanol: Atoms) -> None:
    with pytest.raises(ValueError, match="max_edges must be at least 1, not 0"):
        evaluate_many([ethanol], potential, max_edges=0)
    with pytest.raises(ValueError, match="device 'gpu' is not available"):
        evaluate_many([ethanol], potential, device="gpu")
    with pytest.raises(FileNotFoundError, match="no potential 'nothing'"):
        evaluate_many([ethanol], "nothing")


def test_progress_is_shown_only_when_asked(
    potential: Potential, ethanol: Atoms, capfd: pytest.CaptureFixture[str]
) -> None:
    evaluate_many([ethanol] * 3, potential, device="cpu")
    assert tuple(capfd.readouterr()) == ("", "")
    evaluate_many([ethanol] * 3, potential, device="cpu", progress=True)
    assert "3/3" in capfd.readouterr().out


def test_an_evaluator_keeps_its_potential_between_lists(
    potential: Potential, structures: list[Atoms]
) -> None:
    evaluate = BatchEvaluator(potential, device="cpu")
    kept = evaluate.potential
    first, second = evaluate(structures), evaluate(structures[::-1])
    assert evaluate.potential is kept
    for one, other in zip(first, second[::-1], strict=True):
        np.testing.assert_allclose(one["forces"], other["forces"], atol=1e-12)


def test_any_calculator_becomes_an_evaluator(potential: Potential) -> None:
    structures = [bulk("Cu", cubic=True), bulk("Cu") * (2, 1, 1)]
    structures[0].positions[0] += 0.1
    emt = as_evaluator(EMT())
    assert isinstance(emt, SerialEvaluator)
    for atoms, found in zip(structures, emt(structures, ("energy", "stress")), strict=True):
        atoms.calc = EMT()
        assert found["energy"] == atoms.get_potential_energy()
        np.testing.assert_array_equal(found["stress"], atoms.get_stress())
    assert as_evaluator(emt) is emt
    assert isinstance(as_evaluator(PotentialCalculator(potential, device="cpu")), BatchEvaluator)
    with pytest.raises(TypeError, match="not int"):
        as_evaluator(3)  # type: ignore[arg-type]


def compiling(potential: Potential, **settings: Any) -> BatchEvaluator:
    """An evaluator that would compile in the process, without the time the compiler takes."""
    evaluate = BatchEvaluator(padding(potential), **settings)
    assert isinstance(evaluate.prepared.function, CompiledPotential)
    return evaluate


def padding(potential: Potential) -> PotentialCalculator:
    """A calculator of which the same is true."""
    calculator = PotentialCalculator(potential, device="cpu")
    prepared = calculator.prepared
    prepared.function = CompiledPotential(prepared.potential, backend="eager")
    return calculator


def compilations(evaluate: BatchEvaluator) -> int:
    compiled = evaluate.prepared.function
    assert isinstance(compiled, CompiledPotential)
    return compiled.compilations


def test_compiled_batches_give_the_same(potential: Potential, structures: list[Atoms]) -> None:
    evaluate = compiling(potential, max_edges=400)
    for names in (ALL, ("energy",), ("forces",)):
        plain = evaluate_many(structures, potential, names, device="cpu")
        for found, expected in zip(evaluate(structures, names), plain, strict=True):
            assert set(found) == set(names)
            for name in names:
                np.testing.assert_allclose(found[name], expected[name], rtol=1e-12, atol=1e-12)


def test_batches_of_a_list_compile_once(potential: Potential, rng: np.random.Generator) -> None:
    """Their sizes differ, the last is a remainder, and the next list has other structures."""
    kinds = [molecule(name) for name in ("CH3CH2OH", "H2O", "CH3COOH", "CH4")]
    evaluate, sizes = compiling(potential, max_edges=800), set()
    own = evaluate.prepared
    for number in (61, 3, 40):
        crowd = [kinds[index].copy() for index in rng.integers(len(kinds), size=number)]
        for atoms in crowd:
            atoms.positions += rng.normal(scale=0.05, size=atoms.positions.shape)
        sizes |= {graph.num_edges for graph in evaluate._batches(own, evaluate._graphs(own, crowd))}
        for names in (("energy", "forces"), ("energy",)):
            assert len(evaluate(crowd, names)) == number
    assert len(sizes) > 5
    assert compilations(evaluate) <= 2


def test_what_a_calculator_compiled_serves_all_lists(
    potential: Potential, structures: list[Atoms]
) -> None:
    calculator = padding(potential)
    compiled = calculator.prepared.function
    assert isinstance(compiled, CompiledPotential)
    for _ in range(3):
        evaluate_many(structures, calculator)
    assert compiled.compilations == 1
    other = BatchEvaluator(calculator, dtype="float32").prepared.function
    assert other is not compiled


def test_relaxing_many_compiles_once(potential: Potential, silicon: Atoms) -> None:
    """Until all are done the batch is smaller at every step."""
    evaluate = compiling(potential)
    for number in range(30, 0, -1):
        evaluate([silicon] * number, ("energy", "forces", "stress"))
    assert compilations(evaluate) == 1


def test_both_orders_of_arguments(potential: Potential, ethanol: Atoms) -> None:
    first = evaluate_many([ethanol], potential, ("energy",), device="cpu")
    former = evaluate_many(potential, [ethanol], ("energy",), device="cpu")  # type: ignore[arg-type]
    named = evaluate_many(
        potential=potential, structures=[ethanol], properties=("energy",), device="cpu"
    )
    assert first == former == named
