"""So3krates against numbers of the original JAX code in float64."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from ase import Atoms
from safetensors.numpy import load_file
from torch import Tensor, nn

from ase_geomformer.architectures import So3krates
from ase_geomformer.convert.flax import zbl_names
from ase_geomformer.convert.so3krates_flax import (
    GENERATIONS,
    architecture_from_flax,
    so3krates_from_flax,
)
from ase_geomformer.convert.so3krates_sparse import sparse_names
from ase_geomformer.graph.atom_graph import AtomGraph
from ase_geomformer.layers.host import as_on_a_gpu
from ase_geomformer.potential import Potential

MODELS = ("A", "B", "C", "D")
SYSTEMS = {
    "A": ("ethanol_0", "ethanol_700", "water4_triclinic"),
    "B": ("ethanol_0", "ethanol_700", "water4_triclinic"),
    "C": ("ethanol_0", "ethanol_700", "water4_triclinic"),
    "D": ("ethanol_0", "ethanol_700", "acetate"),
}
CASES = [(model, system) for model in MODELS for system in SYSTEMS[model]]
# The original's names of the terms of the energy, by ours.
TERMS = {
    "architecture": "nn",
    "zbl": "zbl_repulsion",
    "electrostatics": "electrostatic_energy",
    "dispersion": "dispersion_energy",
}
TIGHT = {"rtol": 0.0, "atol": 1e-11}
REQUIRED = {"rtol": 0.0, "atol": 1e-9}

Reference = Callable[[str], Tensor]


@pytest.fixture(scope="module")
def folder(shared: Path) -> Path:
    return shared / "fixtures" / "so3krates" / "random_sparse"


@pytest.fixture
def architecture(folder: Path, model: str) -> So3krates:
    config = json.loads((folder / f"{model}.config.json").read_text())
    return architecture_from_flax(config, load_file(folder / f"{model}.weights.safetensors"))


@pytest.fixture
def potential(folder: Path, model: str) -> Potential:
    config = json.loads((folder / f"{model}.config.json").read_text())
    return so3krates_from_flax(config, load_file(folder / f"{model}.weights.safetensors"))


@pytest.fixture
def reference(folder: Path, model: str, system: str) -> Reference:
    arrays = np.load(folder / f"{model}.reference.npz")
    return lambda name: torch.from_numpy(np.array(arrays[f"{system}/{name}"]))


def stored_graph(reference: Reference) -> AtomGraph:
    """The graph with the original's own edges."""
    numbers = reference("atomic_numbers")
    return AtomGraph(
        atomic_numbers=numbers,
        edge_index=torch.stack([reference("edge.idx_i"), reference("edge.idx_j")]).long(),
        edge_vectors=reference("edge.r_ij"),
        batch=torch.zeros(len(numbers), dtype=torch.int64),
        charge=reference("total_charge").double().reshape(1),
        spin=reference("num_unpaired_electrons").double().reshape(1) + 1.0,
        cell=reference("cell").reshape(1, 3, 3),
    )


def atoms_of(reference: Reference) -> Atoms:
    return Atoms(
        reference("atomic_numbers").numpy(),
        positions=reference("positions").numpy(),
        cell=reference("cell").numpy(),
        pbc=reference("pbc").numpy(),
        info={
            "charge": float(reference("total_charge")),
            "spin": float(reference("num_unpaired_electrons")) + 1.0,
        },
    )


def graph_of(potential: Potential, reference: Reference) -> AtomGraph:
    """The graph with our own edges and far pairs."""
    return AtomGraph.from_atoms(
        atoms_of(reference), potential.cutoff, far_cutoff=potential.far_cutoff
    )


def recorded(modules: list[nn.Module], run: Callable[[], object]) -> list[tuple[Tensor, Tensor]]:
    """What each module returned while ``run`` was called."""
    outputs: list[tuple[Tensor, Tensor]] = []
    hooks = [m.register_forward_hook(lambda _, __, output: outputs.append(output)) for m in modules]
    run()
    for hook in hooks:
        hook.remove()
    assert len(outputs) == len(modules)
    return outputs


@pytest.mark.parametrize(("model", "system"), CASES)
def test_neural_energies(architecture: So3krates, reference: Reference) -> None:
    energies = architecture(stored_graph(reference))["energies"]
    torch.testing.assert_close(energies, reference("atomic.nn"), **TIGHT)


@pytest.mark.parametrize(("model", "system"), CASES)
def test_edge_quantities(architecture: So3krates, reference: Reference) -> None:
    with as_on_a_gpu():  # in the order of the graph
        edges = architecture.edge_features(stored_graph(reference))
    torch.testing.assert_close(edges.radial, reference("edge.rbf_ij"), **TIGHT)
    torch.testing.assert_close(edges.envelope, reference("edge.cut"), **TIGHT)
    torch.testing.assert_close(edges.harmonics, reference("edge.ylm_ij"), **TIGHT)


@pytest.mark.parametrize(("model", "system"), CASES)
def test_embeddings(architecture: So3krates, reference: Reference) -> None:
    graph = stored_graph(reference)
    parts = [architecture.element_embedding(graph.atomic_numbers)]
    if architecture.charge_embedding is not None:
        parts.append(architecture.charge_embedding(graph, graph.charge))
    if architecture.spin_embedding is not None:
        parts.append(architecture.spin_embedding(graph, graph.spin - 1.0))
    for number, part in enumerate(parts):
        torch.testing.assert_close(part, reference(f"feat.x_embed_{number}"), **TIGHT)
    torch.testing.assert_close(architecture.embed(graph), reference("feat.x_0"), **TIGHT)


@pytest.mark.parametrize(("part", "suffix"), [("attention", "_att"), ("exchange", "_ex"), ("", "")])
@pytest.mark.parametrize(("model", "system"), CASES)
def test_features_of_every_layer(
    architecture: So3krates, reference: Reference, part: str, suffix: str
) -> None:
    """Invariants x and Euclidean variables ev, after the layer and as updated by its blocks."""
    graph = stored_graph(reference)
    modules = [layer.get_submodule(part) for layer in architecture.layers]
    outputs = recorded(modules, lambda: architecture(graph))
    for number, (x, ev) in enumerate(outputs, start=1):
        torch.testing.assert_close(x, reference(f"feat.x{suffix}_{number}"), **TIGHT)
        torch.testing.assert_close(ev, reference(f"feat.ev{suffix}_{number}"), **TIGHT)


@pytest.mark.parametrize(("model", "system"), CASES)
def test_energy_forces_and_strain(potential: Potential, reference: Reference) -> None:
    """Through our own neighbour list. In a unit cube the stress is the strain derivative itself."""
    graph = graph_of(potential, reference)
    graph = replace(graph, cell=torch.eye(3, dtype=torch.float64)[None])
    results = potential(graph, ("energy", "forces", "stress"))
    torch.testing.assert_close(results["energy"][0], reference("energy"), **REQUIRED)
    torch.testing.assert_close(results["forces"], reference("forces"), **REQUIRED)
    torch.testing.assert_close(results["stress"][0], reference("dE_dstrain"), **REQUIRED)


@pytest.mark.parametrize(("model", "system"), CASES)
def test_our_edges_are_the_stored_ones(architecture: So3krates, reference: Reference) -> None:
    stored = stored_graph(reference)
    ours = AtomGraph.from_atoms(atoms_of(reference), architecture.cutoff)

    def rows(graph: AtomGraph) -> np.ndarray:
        columns = np.column_stack([graph.edge_index.T, graph.edge_vectors.round(decimals=9)])
        return columns[np.lexsort(columns.T)]

    np.testing.assert_allclose(rows(ours), rows(stored), rtol=0.0, atol=1e-8)
    energies = [architecture(graph)["energies"] for graph in (ours, stored)]
    torch.testing.assert_close(*energies, **TIGHT)


@pytest.mark.parametrize(("model", "system"), CASES)
def test_terms_of_the_energy(potential: Potential, reference: Reference) -> None:
    for name, energies in potential.energy_terms(graph_of(potential, reference)).items():
        expected = reference(f"atomic.{TERMS[name]}")
        assert expected.abs().max() > 1e-4
        torch.testing.assert_close(energies, expected, **TIGHT)


@pytest.mark.parametrize(("model", "system"), [case for case in CASES if case[0] in "CD"])
def test_charges_and_hirshfeld_ratios(potential: Potential, reference: Reference) -> None:
    graph = graph_of(potential, reference)
    results = potential(graph, ("charges", "hirshfeld_ratios"))
    torch.testing.assert_close(results["charges"], reference("partial_charges"), **TIGHT)
    torch.testing.assert_close(results["hirshfeld_ratios"], reference("hirshfeld_ratios"), **TIGHT)
    torch.testing.assert_close(results["charges"].sum(), graph.charge[0], **TIGHT)


@pytest.mark.parametrize(("model", "system"), [(model, "ethanol_0") for model in "ABC"])
def test_weight_gradients_of_a_force_loss(
    folder: Path, model: str, potential: Potential, reference: Reference
) -> None:
    """0.01 E^2 + 0.99 mean(F^2): the double backward that training on forces rests on."""
    results = potential(graph_of(potential, reference), create_graph=True)
    loss = 0.01 * results["energy"][0] ** 2 + 0.99 * (results["forces"] ** 2).mean()
    loss.backward()
    stored = load_file(folder / f"{model}.grad_ethanol_0.safetensors")
    neural = sparse_names(potential.architecture.settings)
    names = {f"architecture.{ours}": [theirs] for ours, theirs in neural.items()}
    if "zbl" in potential.terms:
        root = GENERATIONS["sparse"].zbl[1]
        names |= {f"terms.zbl.{ours}": theirs for ours, theirs in zbl_names(root).items()}
    parameters = dict(potential.named_parameters())
    assert set(names) == set(parameters)
    for ours, theirs in names.items():
        expected = np.concatenate([stored[path] for path in theirs])
        if theirs[0].endswith(".kernel"):
            expected = expected.T
        gradient = parameters[ours].grad
        found = np.zeros_like(expected) if gradient is None else gradient.numpy()
        if expected.shape[0] == 100:  # the original's tables of charges end before ours
            assert not found[100:].any()
            found = found[:100]
        np.testing.assert_allclose(
            found.reshape(expected.shape), expected, rtol=1e-9, atol=1e-9, err_msg=ours
        )
