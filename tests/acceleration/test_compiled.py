"""Compiled evaluation gives what the potential gives, and compiles rarely.

Padding and bookkeeping do not depend on the compiler, and most tests leave it out
(``backend="eager"``), as it takes ten seconds even for the smallest potential.
"""

from __future__ import annotations

import copy
import os
import pickle
import random
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk, molecule
from torch import Tensor

from ase_geomformer import PotentialCalculator
from ase_geomformer.acceleration import CompiledPotential, compiler
from ase_geomformer.graph.atom_graph import AtomGraph
from ase_geomformer.physics import build_terms
from ase_geomformer.potential import PROPERTIES, Potential

CARRIERS = {"deepcopy": copy.deepcopy, "pickle": lambda it: pickle.loads(pickle.dumps(it))}


@pytest.fixture(scope="module")
def tiny(make_potential: Callable[..., Potential]) -> Potential:
    """Few operations, so that it compiles fast; with a further energy term."""
    potential = make_potential(
        cutoff=3.0,
        num_layers=1,
        num_features=16,
        degrees=(1,),
        charge_embedding=False,
        spin_embedding=False,
    )
    potential.terms["zbl"] = build_terms({"zbl": {}})["zbl"]
    return potential


@pytest.fixture
def uncompiled(tiny: Potential) -> CompiledPotential:
    return CompiledPotential(tiny.copy(), backend="eager")


def structures() -> dict[str, Atoms]:
    """A molecule, a crystal, and atoms without neighbours."""
    rng = np.random.default_rng(3)
    atoms = {"molecule": molecule("CH3CH2OH"), "crystal": bulk("Si", a=5.43, cubic=True)}
    for structure in atoms.values():
        structure.positions += rng.normal(scale=0.05, size=structure.positions.shape)
    return {**atoms, "atom": Atoms("O"), "atom in a box": Atoms("H", cell=[9, 9, 9], pbc=True)}


def graph_of(atoms: Any, potential: Potential) -> AtomGraph:
    return AtomGraph.from_atoms(
        atoms, potential.cutoff, far_cutoff=potential.far_cutoff, dtype=potential.dtype
    )


def assert_same(compiled: CompiledPotential, graph: AtomGraph, *names: str, digits: float) -> None:
    expected = compiled.potential(graph, names)
    results = compiled(graph, names)
    assert set(results) == set(names)
    for name in names:
        scale = expected[name].nan_to_num().abs().max().item()
        torch.testing.assert_close(
            results[name], expected[name], rtol=0, atol=scale * 10.0**-digits, equal_nan=True
        )


# Through the compiler


@pytest.mark.parametrize("molecules", [1, 3])
def test_a_trained_potential_keeps_its_forces(molecules: int) -> None:
    """With few edges and with many, which are summed in different ways."""
    # Torch 2.13 fuses sums over edges with what reads them, in this potential but in no small one.
    atoms = molecule("CH3CH2OH", cell=[0.0, 0.0, 3.5]) * (1, 1, molecules)
    atoms.positions += np.random.default_rng(3).normal(scale=0.05, size=atoms.positions.shape)
    forces = []
    for compiled in (False, True):
        calculator = PotentialCalculator(
            "so3krates-rmd17-ethanol", device="cpu", dtype="float64", domain="ignore"
        )
        if compiled:
            calculator.prepared.function = CompiledPotential(calculator.potential)
        with warnings.catch_warnings():
            warnings.simplefilter("error", UserWarning)
            forces.append(calculator.get_property("forces", atoms))
    np.testing.assert_allclose(forces[1], forces[0], atol=1e-10)


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_results_outlive_the_next_call(tiny: Potential, device: str) -> None:
    if device == "cuda" and not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    compiled = CompiledPotential(tiny.copy(device=device))
    atoms, graphs = structures()["molecule"], []
    for _ in range(5):
        atoms.rattle(0.01, seed=len(graphs))
        graphs.append(graph_of(atoms, tiny).to(device))
    results = [compiled(graph, PROPERTIES) for graph in graphs]
    assert compiled.compilations == 1
    for graph, result in zip(graphs, results, strict=True):
        expected = compiled.potential(graph, PROPERTIES)
        torch.testing.assert_close(result["forces"], expected["forces"])


def test_what_was_miscompiled_is_not_used(tiny: Potential, monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(graph: torch.fx.GraphModule, inputs: list[Tensor]) -> Any:
        return lambda *tensors: [1.01 * result for result in graph(*tensors)]

    monkeypatch.setattr(compiler, "compiler_backend", lambda name, **_: wrong)
    compiled = CompiledPotential(tiny.copy(), backend="eager")
    graph = graph_of(structures()["molecule"], tiny)
    with pytest.warns(UserWarning, match="compiled code is off by"):
        results = compiled(graph, ("energy", "forces"))
    # Of its own frozen copy: of trainable weights gradients are computed otherwise.
    expected = compiled.potential(graph, ("energy", "forces"))
    assert torch.equal(results["forces"], expected["forces"])


def test_compiled_results_are_those_of_the_potential(
    tiny: Potential, capfd: pytest.CaptureFixture[str]
) -> None:
    """Of a batch, and then of its members by what was compiled for the batch."""
    compiled = CompiledPotential(tiny.copy())
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=".*the potential")
        for atoms in (list(structures().values()), *structures().values()):
            assert_same(compiled, graph_of(atoms, tiny), *PROPERTIES, digits=12)
    assert compiled.compilations == 1
    assert not any(capfd.readouterr())


def test_compiling_leaves_the_process_as_it_was(uncompiled: CompiledPotential) -> None:
    def state() -> list[object]:
        own = {key: value for key, value in os.environ.items() if "INDUCTOR" not in key}
        numbers = [torch.get_rng_state().tolist(), random.getstate()]
        flags = [torch.is_grad_enabled(), torch.get_default_dtype(), torch.get_num_threads()]
        return [own, numbers, flags, torch.are_deterministic_algorithms_enabled()]

    before = state()
    uncompiled.backend = "aot_eager"
    assert_same(uncompiled, graph_of(molecule("H2O"), uncompiled.potential), "forces", digits=12)
    assert uncompiled.compilations == 1
    assert state() == before


# How graphs are padded, and when something is compiled


@pytest.mark.parametrize("name", structures())
def test_ghosts_are_not_felt(name: str, uncompiled: CompiledPotential) -> None:
    graph = graph_of(structures()[name], uncompiled.potential)
    assert_same(uncompiled, graph, *PROPERTIES, digits=13)


def test_batches(uncompiled: CompiledPotential) -> None:
    together = list(structures().values())
    for crowd in (together, together[1:], together[::-1] + [Atoms("O")], together[:1]):
        assert_same(uncompiled, graph_of(crowd, uncompiled.potential), *PROPERTIES, digits=13)
    assert uncompiled.compilations == 1


def test_far_pairs_are_padded_too(make_potential: Callable[..., Potential]) -> None:
    potential = make_potential(cutoff=3.0, charge_width=16, hirshfeld_width=16)
    settings = {"electrostatics": {"long_range_cutoff": 8.0}, "dispersion": {}}
    potential.terms.update(build_terms(settings))
    compiled = CompiledPotential(potential.copy(), backend="eager")
    for name, atoms in structures().items():
        graph = graph_of(atoms, compiled.potential)
        assert graph.num_far_pairs or name == "atom"
        assert_same(compiled, graph, *compiled.potential.properties, digits=12)
    assert compiled.compilations <= 3
    with pytest.raises(ValueError, match="build it with far_cutoff=potential.far_cutoff"):
        compiled(AtomGraph.from_atoms(molecule("H2O"), potential.cutoff))


def test_each_kind_of_evaluation_is_compiled_once(uncompiled: CompiledPotential) -> None:
    graph = graph_of(molecule("H2O"), uncompiled.potential)
    kinds = [("energy",), ("energy", "forces"), ("energy", "stress")]
    for number, names in enumerate(kinds, start=1):
        for order in (names, names[::-1]):
            assert_same(uncompiled, graph, *order, digits=13)
        assert uncompiled.compilations == number


def test_the_number_of_threads_is_respected(
    uncompiled: CompiledPotential, monkeypatch: pytest.MonkeyPatch
) -> None:
    graph = graph_of(molecule("H2O"), uncompiled.potential)
    for threads, compilations in ((1, 1), (2, 2), (1, 2)):
        monkeypatch.setattr(torch, "get_num_threads", lambda threads=threads: threads)
        uncompiled(graph)
        assert uncompiled.compilations == compilations


# When it cannot be compiled


def test_what_cannot_be_compiled_is_evaluated_as_it_is(tiny: Potential) -> None:
    potential = CompiledPotential(tiny, backend="no such backend")
    graph = graph_of(molecule("H2O"), tiny)
    with pytest.warns(UserWarning, match="could not be compiled.*slower.*no such backend"):
        potential(graph)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        assert_same(potential, graph, "energy", "forces", digits=15)
    assert potential.compilations == 0


def test_no_compiler_is_told_once(tiny: Potential) -> None:
    import torch._inductor.config

    potential = CompiledPotential(tiny)
    graph = graph_of(molecule("H2O"), tiny)
    with torch._inductor.config.patch({"cpp.cxx": (None, "no-such-compiler")}):
        with pytest.warns(UserWarning, match="no C.. compiler was found, so the potential"):
            potential(graph)
        with warnings.catch_warnings():
            warnings.simplefilter("error", UserWarning)
            assert_same(potential, graph, "energy", "forces", digits=15)


def test_a_wrong_request_is_an_error_and_not_a_failure(uncompiled: CompiledPotential) -> None:
    graph = graph_of(molecule("H2O"), uncompiled.potential)
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=".*the potential")
        with pytest.raises(ValueError, match="unknown properties .'magmoms'"):
            uncompiled(graph, ["magmoms"])
        uncompiled(graph)
    assert uncompiled.compilations == 1


# How it is carried about


@pytest.mark.parametrize("carry", CARRIERS.values(), ids=CARRIERS)
def test_copies_compile_for_themselves(carry: Callable, uncompiled: CompiledPotential) -> None:
    graph = graph_of(molecule("H2O"), uncompiled.potential)
    uncompiled(graph)
    other = carry(uncompiled)
    assert other.potential is not uncompiled.potential
    assert (other.compilations, other.backend) == (0, "eager")
    with torch.no_grad():
        other.potential.architecture.energy_head.final.bias.add_(1.0)
    assert_same(other, graph, "energy", "forces", digits=13)
    assert_same(uncompiled, graph, "energy", "forces", digits=13)
    assert (other.compilations, uncompiled.compilations) == (1, 1)
