"""The two older generations of So3krates against numbers of the original JAX codes in float64."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from ase import Atoms
from safetensors.numpy import load_file
from torch import Tensor, nn

from ase_geomformer.architectures import Architecture
from ase_geomformer.convert import so3krates_from_flax
from ase_geomformer.graph.atom_graph import AtomGraph
from ase_geomformer.potential import Potential

FOLDERS = {"dense": "random_dense_v03", "2022": "random_2022_v01"}
MODELS = [(generation, model) for generation in FOLDERS for model in "ABC"]
SYSTEMS = ("ethanol_0", "ethanol_700", "acetate")
CASES = [(*model, system) for model in MODELS for system in SYSTEMS]
TIGHT = {"rtol": 0.0, "atol": 1e-12}
# Where the original's float32 constants are not copied; measured: 2e-8 eV/Å.
EXACT_CONSTANTS = {"rtol": 0.0, "atol": 1e-7}

Reference = Callable[[str], Tensor]
Loader = Callable[..., Potential]

every_case = pytest.mark.parametrize(("generation", "model", "system"), CASES)


@pytest.fixture
def folder(shared: Path, generation: str) -> Path:
    return shared / "fixtures" / "so3krates" / FOLDERS[generation]


@pytest.fixture
def load(folder: Path, generation: str, model: str) -> Loader:
    def load(**options: Any) -> Potential:
        config = json.loads((folder / f"{model}.config.json").read_text())
        weights = load_file(folder / f"{model}.weights.safetensors")
        return so3krates_from_flax(config, weights, generation=generation, **options)

    return load


@pytest.fixture
def reference(folder: Path, model: str, system: str) -> Reference:
    arrays = np.load(folder / f"{model}.reference.npz")
    return lambda name: torch.from_numpy(np.array(arrays[f"{system}/{name}"]))


def graph_of(potential: Potential, reference: Reference) -> AtomGraph:
    """Through our own neighbour list."""
    atoms = Atoms(reference("atomic_numbers").numpy(), positions=reference("positions").numpy())
    return AtomGraph.from_atoms(atoms, potential.cutoff, far_cutoff=potential.far_cutoff)


def recorded(
    modules: list[nn.Module], architecture: Architecture, graph: AtomGraph
) -> list[tuple[Any, Any]]:
    """First input and output of each module while the architecture is evaluated."""
    seen: list[tuple[Any, Any]] = []
    hooks = [
        module.register_forward_hook(lambda _, inputs, output: seen.append((inputs[0], output)))
        for module in modules
    ]
    architecture(graph)
    for hook in hooks:
        hook.remove()
    assert len(seen) == len(modules)
    return seen


@every_case
def test_energy_and_forces(load: Loader, reference: Reference) -> None:
    potential = load(rounded_constants=True)
    results = potential(graph_of(potential, reference))
    torch.testing.assert_close(results["energy"][0], reference("energy"), **TIGHT)
    torch.testing.assert_close(results["forces"], reference("forces"), **TIGHT)


@every_case
def test_energy_and_forces_with_exact_constants(load: Loader, reference: Reference) -> None:
    potential = load()
    results = potential(graph_of(potential, reference))
    torch.testing.assert_close(results["energy"][0], reference("energy"), **EXACT_CONSTANTS)
    torch.testing.assert_close(results["forces"], reference("forces"), **EXACT_CONSTANTS)


@every_case
def test_features_of_every_layer(load: Loader, reference: Reference) -> None:
    """Invariants x and Euclidean variables, before the first layer and after each."""
    potential = load(rounded_constants=True)
    architecture, graph = potential.architecture, graph_of(potential, reference)
    edges = architecture.edge_features(graph)
    initial = architecture.initial_geometry(edges)
    torch.testing.assert_close(initial, reference("feat.chi_0"), **TIGHT)
    x = architecture.element_embedding(graph.atomic_numbers)
    torch.testing.assert_close(x, reference("feat.x_0"), **TIGHT)
    outputs = recorded(list(architecture.layers), architecture, graph)
    for number, (_, (x, ev)) in enumerate(outputs, start=1):
        if number == len(outputs):
            x = getattr(architecture, "final_norm", nn.Identity())(x)
        torch.testing.assert_close(x, reference(f"feat.x_{number}"), **TIGHT)
        torch.testing.assert_close(ev, reference(f"feat.chi_{number}"), **TIGHT)


@every_case
def test_edge_quantities(load: Loader, reference: Reference, generation: str) -> None:
    """On the original's own edges, which are all pairs where attention is non-local."""
    potential = load()
    # The 2022 code has its vectors point from sender to receiver.
    sign = -1.0 if generation == "2022" else 1.0
    graph = replace(
        graph_of(potential, reference),
        edge_index=torch.stack([reference("edge.idx_i"), reference("edge.idx_j")]),
        edge_vectors=sign * reference("edge.r_ij"),
    )
    edges = potential.architecture.edge_features(graph)
    torch.testing.assert_close(edges.radial, reference("edge.rbf_ij"), **TIGHT)
    torch.testing.assert_close(edges.envelope, reference("edge.phi_r_cut"), **TIGHT)
    torch.testing.assert_close(edges.harmonics, reference("edge.sph_ij"), **TIGHT)


@pytest.mark.parametrize(
    ("generation", "model", "system"), [case for case in CASES if case[0] == "2022"]
)
def test_blocks_of_the_2022_layer(load: Loader, reference: Reference) -> None:
    """After attention, before any normalisation, and the products of the degrees."""
    potential = load(rounded_constants=True)
    architecture, graph = potential.architecture, graph_of(potential, reference)

    def seen(path: str) -> list[tuple[Any, Any]]:
        modules = [layer.get_submodule(path) for layer in architecture.layers]
        return recorded(modules, architecture, graph)

    blocks = zip(
        seen("feature_norm_1"), seen("geometry_norm_1"), seen("interaction.self_mix"), strict=True
    )
    for number, ((x, _), (ev, _), (_, products)) in enumerate(blocks, start=1):
        torch.testing.assert_close(x, reference(f"feat.x_fb_{number}"), **TIGHT)
        torch.testing.assert_close(ev, reference(f"feat.chi_gb_{number}"), **TIGHT)
        torch.testing.assert_close(products, reference(f"feat.chi_nl_{number}"), **TIGHT)
