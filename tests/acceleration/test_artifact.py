"""Compiled code gives what the potential gives, for graphs of any size."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk, molecule
from torch import Tensor

from ase_geomformer.acceleration.artifact import (
    FEATURES,
    Artifact,
    by_potential,
    compiled_properties,
)
from ase_geomformer.acceleration.build import compare
from ase_geomformer.acceleration.compiled import CompiledPotential
from ase_geomformer.acceleration.compiler import MiscompiledError
from ase_geomformer.acceleration.tables import tabulate
from ase_geomformer.graph.atom_graph import AtomGraph
from ase_geomformer.layers.written_gradient import by_formula
from ase_geomformer.potential import Potential
from ase_geomformer.registry import load_potential
from ase_geomformer.runtime.features import atom_features
from ase_geomformer.runtime.memory_model import GraphSize, MemoryGuard
from ase_geomformer.runtime.prepared import PreparedPotential
from ase_geomformer.runtime.settings import CalculatorSettings

CARRIERS = {"deepcopy": copy.deepcopy, "pickle": lambda it: pickle.loads(pickle.dumps(it))}


def rattled(atoms: Atoms) -> Atoms:
    atoms.positions += np.random.default_rng(3).normal(scale=0.05, size=atoms.positions.shape)
    return atoms


STRUCTURES: dict[str, Atoms | list[Atoms]] = {
    "two atoms": molecule("CO"),
    "molecule": rattled(molecule("CH3CH2OH")),
    "one atom of a crystal": bulk("Si", "sc", a=2.4),
    "crystal": rattled(bulk("Si", cubic=True)),
    "large crystal": rattled(bulk("Si", cubic=True) * (3, 3, 3)),
    "batch": [rattled(molecule("CH3CH2OH")), rattled(bulk("Si", cubic=True)), molecule("H2O")],
}


def graph_of(atoms: Atoms | Sequence[Atoms], potential: Potential) -> AtomGraph:
    return AtomGraph.from_atoms(atoms, potential.cutoff, dtype=potential.dtype)


def assert_same(found: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    assert found.keys() == expected.keys()
    for name, values in expected.items():
        torch.testing.assert_close(found[name], values, rtol=1e-10, atol=1e-11, equal_nan=True)


@pytest.mark.parametrize("atoms", STRUCTURES.values(), ids=STRUCTURES)
def test_results_are_those_of_the_potential(
    atoms: Atoms | list[Atoms], artifact: Artifact, small: Potential
) -> None:
    graph = graph_of(atoms, small)
    names = compiled_properties(small)
    assert {"energy", "energies", "forces", "stress", FEATURES} <= set(names)
    assert artifact.serves(graph, names)
    assert_same(artifact(graph, names), by_potential(small, graph, names))


def test_only_what_is_asked_for_comes_back(artifact: Artifact, small: Potential) -> None:
    graph = graph_of(STRUCTURES["molecule"], small)
    assert set(artifact(graph, ("energy",))) == {"energy"}


@pytest.mark.parametrize("threads", [1, 2])
def test_threads(threads: int, artifact: Artifact, small: Potential) -> None:
    graph, before = graph_of(STRUCTURES["large crystal"], small), torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        first, second = (artifact(graph, ("energy", "forces")) for _ in range(2))
    finally:
        torch.set_num_threads(before)
    assert torch.equal(first["forces"], second["forces"])
    assert_same(first, small(graph, ("energy", "forces")))


def test_the_potential_does_what_the_code_cannot(artifact: Artifact, small: Potential) -> None:
    crystal, atom = graph_of(STRUCTURES["crystal"], small), graph_of(Atoms("O"), small)
    for graph, names in ((crystal, ("stresses", "forces")), (atom, ("energy", "forces"))):
        assert not artifact.serves(graph, names)
        assert_same(artifact(graph, names), small(graph, names))
    with pytest.raises(ValueError, match="unknown properties"):
        artifact(crystal, ("colour",))


@pytest.mark.parametrize("carry", CARRIERS.values(), ids=CARRIERS)
def test_copies(carry: Callable[[Any], Any], artifact: Artifact, small: Potential) -> None:
    graph = graph_of(STRUCTURES["molecule"], small)
    other = carry(artifact)
    assert_same(other(graph, ("forces",)), small(graph, ("forces",)))


def test_results_outlive_the_next_call(artifact: Artifact, small: Potential) -> None:
    graphs = [graph_of(STRUCTURES[name], small) for name in ("molecule", "crystal")]
    results = [artifact(graph, ("forces",)) for graph in graphs]
    for graph, result in zip(graphs, results, strict=True):
        assert_same(result, small(graph, ("forces",)))


@pytest.mark.parametrize("name", ["energy", "energies", "forces", "stress", FEATURES])
@pytest.mark.parametrize("wrong", [1.001, torch.nan])
def test_code_that_is_off_is_refused(name: str, wrong: float, small: Potential) -> None:
    def off(graph: AtomGraph, names: Sequence[str]) -> dict[str, Tensor]:
        results = by_potential(small, graph, names)
        return {**results, name: wrong * results[name]}

    compare(partial(by_potential, small), small)
    with pytest.raises(MiscompiledError, match=f"off by .* in {name}"):
        compare(off, small)


@pytest.mark.parametrize(
    "name", ["so3krates-rmd17-ethanol", "geomformer-rmd17-ethanol", "est-rmd17-ethanol"]
)
def test_rounding_is_that_of_the_formula(name: str) -> None:
    """EST's written gradients round half as much, and its code was refused."""
    potential = load_potential(name).copy(dtype=torch.float32)
    tabulate(potential)

    def traced(graph: AtomGraph, names: Sequence[str]) -> dict[str, Tensor]:
        with by_formula():
            return by_potential(potential, graph, names)

    compare(traced, potential)


def test_a_file_that_is_no_code(small: Potential, tmp_path: Any) -> None:
    (tmp_path / "potential.so").write_bytes(b"no code")
    with pytest.raises(RuntimeError):
        Artifact(tmp_path / "potential.so", small)


WAYS: dict[str, Callable[[Artifact, Potential], Any]] = {
    "plain": lambda artifact, potential: potential,
    "compiled": lambda artifact, potential: artifact,
    "compiled in this process": lambda artifact, potential: CompiledPotential(
        potential, backend="eager"
    ),
}


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_features_are_of_the_structure_that_is_evaluated(
    way: Callable[[Artifact, Potential], Any], artifact: Artifact, small: Potential
) -> None:
    """Before, its memory is predicted, from other graphs."""
    atoms = STRUCTURES["large crystal"].repeat((2, 1, 1))
    graph = graph_of(atoms, small)
    assert sum(GraphSize.of(graph)) > MemoryGuard.SMALL
    prepared = PreparedPotential(small, CalculatorSettings(device="cpu", dtype="float64"))
    prepared.function = way(artifact, prepared.potential)
    in_process = isinstance(prepared.function, CompiledPotential)
    assert prepared.gives_features is not in_process  # there they take a further evaluation
    (results,), features = prepared.results_and_features(graph, [atoms], ["forces"])
    torch.testing.assert_close(features, atom_features(small, graph), rtol=1e-10, atol=1e-11)
    forces = small(graph, ("forces",))["forces"]
    np.testing.assert_allclose(results["forces"], forces.numpy(), atol=1e-11)


def test_structures_that_only_compiled_code_has_the_memory_for(
    artifact: Artifact, small: Potential, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It needs less, and is not refused what the potential itself would be."""
    graph = graph_of(STRUCTURES["large crystal"].repeat((2, 2, 2)), small)
    prepared = PreparedPotential(small, CalculatorSettings(device="cpu", dtype="float64"))
    size = GraphSize.of(graph)
    free = (prepared.memory.model(size) + prepared.memory.model(size, compiled=True)) / 2
    monkeypatch.setattr("ase_geomformer.runtime.memory_model.free_memory", lambda device: free)
    with pytest.raises(ValueError, match="GB are free"):
        prepared(graph, ("forces",))
    prepared.function = artifact
    assert_same(prepared(graph, ("forces",)), small(graph, ("forces",)))
