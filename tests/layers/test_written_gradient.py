"""What is written out for evaluation equals the formula, which training and Hessians follow."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk, molecule
from torch import Tensor

from ase_geomformer.acceleration import can_tabulate, tabulate
from ase_geomformer.architectures import build
from ase_geomformer.graph.atom_graph import AtomGraph
from ase_geomformer.graph.derivatives import shifted
from ase_geomformer.layers.frozen import FrozenWeights
from ase_geomformer.layers.harmonics import SphericalHarmonics, distances_and_directions
from ase_geomformer.layers.written_gradient import by_formula
from ase_geomformer.physics import ZBL, ZBLSettings, build_terms
from ase_geomformer.potential import Potential

pytestmark = pytest.mark.quick

NARROW = {"cutoff": 4.0, "num_features": 24, "num_radial_basis": 8, "num_layers": 2}
STEERABLE = {
    "cutoff": 4.0,
    "num_channels": 8,
    "num_layers": 2,
    "num_heads": 2,
    "num_radial_basis": 8,
    "radial_width": 8,
    "steerable_width": 6,
    "spherical_width": 10,
    "attention_width": 12,
    "energy_width": 8,
    "avg_num_neighbors": 8.0,
}
STREAMS = {
    "cutoff": 4.0,
    "num_features": 16,
    "num_blocks": 2,
    "num_heads": 2,
    "num_radial_basis": 8,
    "energy_width": 8,
}
MODELS: dict[str, tuple[str, dict[str, Any]]] = {
    "so3krates": ("so3krates", {**NARROW, "num_heads": 2, "avg_num_neighbors": 8.0}),
    "activations": (
        "so3krates",
        {
            **NARROW,
            "num_heads": 3,
            "degrees": (0, 1, 2, 3),
            "qk_activation": "silu",
            "activation": "tanh",
            "avg_num_neighbors": 8.0,
        },
    ),
    "dense": ("so3krates-dense", {**NARROW, "num_heads": 4, "spherical_filter": False}),
    "2022": ("so3krates-2022", {**NARROW, "num_heads": 2, "degrees": (1, 2)}),
    "est": ("est", {**STEERABLE, "messages": "so2"}),
    "est, general": (
        "est",
        {
            **STEERABLE,
            "messages": "so2",
            "parity": False,
            "lmax": 3,
            "mmax": 1,
            "num_heads": 3,
            "spherical_heads": 2,
        },
    ),
    "est, filters": ("est", {**STEERABLE, "branches": "spherical"}),
    "est, steerable": ("est", {**STEERABLE, "lmax": 1, "branches": "steerable"}),
    "geomformer": ("geomformer", STREAMS),
    "geomformer, bare": (
        "geomformer",
        {
            **STREAMS,
            "distance_bias": False,
            "edge_values": False,
            "directional_messages": False,
            "activation": "gelu",
        },
    ),
}
# Where single weights are trained: parts of names, and of those that are not.
TRAINED = {"so3krates": ("layers.1.attention", "radial"), "est": ("layers.1.", "filters")}
TRAINED["geomformer"] = ("blocks.0.", "filters")
EXACT = {"rtol": 1e-11, "atol": 1e-11}


@pytest.fixture(params=MODELS)
def potential(request: pytest.FixtureRequest) -> Potential:
    """Frozen, in float64."""
    name, settings = MODELS[request.param]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        made = Potential(build(name, settings), ["C", "H", "O"], terms=build_terms({"zbl": {}}))
        with torch.no_grad():
            # Biases and gains are zero and one at the start, which would hide how they enter.
            for weight in made.architecture.parameters():
                weight += 0.05 * torch.randn_like(weight)
    return made.copy()


def crystal(rng: np.random.Generator) -> Atoms:
    atoms = bulk("C", "diamond", a=3.57, cubic=True)
    atoms.symbols[::3] = "O"
    atoms.positions += rng.normal(scale=0.1, size=atoms.positions.shape)
    return atoms


def graph_of(potential: Potential, atoms: Atoms) -> AtomGraph:
    return AtomGraph.from_atoms(atoms, potential.cutoff, far_cutoff=potential.far_cutoff)


def assert_equal(potential: Potential, graph: AtomGraph) -> None:
    names = ("energies", "forces", "stresses")
    found = potential(graph, names)
    with by_formula():
        expected = potential(graph, names)
    for name in names:
        torch.testing.assert_close(found[name], expected[name], **EXACT, equal_nan=True)


def test_equals_the_formula(potential: Potential, rng: np.random.Generator) -> None:
    assert_equal(potential, graph_of(potential, crystal(rng)))
    assert_equal(potential, graph_of(potential, molecule("CH3OH")))
    assert_equal(potential, graph_of(potential, Atoms("O")))


def test_where_few_atoms_are_near_to_each_other(
    potential: Potential, rng: np.random.Generator
) -> None:
    """Chains, an atom alone, and a crowd among atoms that are nearly alone."""
    chain = Atoms("C24", positions=[[1.5 * place, 0.0, 0.0] for place in range(24)])
    chain.positions += rng.normal(scale=0.1, size=chain.positions.shape)
    far = Atoms("H60", positions=[[0.0, 50.0, 3.5 * place] for place in range(60)])
    crowd = Atoms("C40", positions=rng.uniform(0.0, 4.0, size=(40, 3)))
    for atoms in (chain, chain + Atoms("O", positions=[[0.0, 30.0, 0.0]]), crowd + far):
        assert_equal(potential, graph_of(potential, atoms))


def test_with_tables(potential: Potential, rng: np.random.Generator) -> None:
    if not can_tabulate(potential):
        pytest.skip("has filters that tables cannot replace")
    tabulate(potential, energy_tolerance_eV_per_atom=1.0, force_tolerance_eV_per_A=10.0)
    assert_equal(potential, graph_of(potential, crystal(rng)))


def curvature(potential: Potential, graph: AtomGraph, along: Tensor) -> Iterator[Tensor]:
    """Second derivatives of the energy by positions along one vector, and along two at once."""
    shifts = torch.zeros_like(along).requires_grad_()
    energy = potential(shifted(graph, shifts), ("energy",))["energy"].sum()
    (slope,) = torch.autograd.grad(energy, shifts, create_graph=True)
    yield from torch.autograd.grad(slope, shifts, along, retain_graph=True)
    both = torch.stack([along, along.flip(0)])
    yield from torch.autograd.grad(slope, shifts, both, is_grads_batched=True)


def test_second_derivatives(potential: Potential, rng: np.random.Generator) -> None:
    """Differentiated twice without notice, also for several slopes at once."""
    graph = graph_of(potential, crystal(rng))
    along = torch.from_numpy(rng.normal(size=(graph.num_atoms, 3)))
    found = list(curvature(potential, graph, along))
    with by_formula():
        expected = list(curvature(potential, graph, along))
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-9)


def test_many_slopes_at_once(potential: Potential, rng: np.random.Generator) -> None:
    graph = graph_of(potential, crystal(rng))
    vectors = graph.edge_vectors.clone().requires_grad_()
    energies = potential(replace(graph, edge_vectors=vectors), ("energies",))["energies"]
    units = torch.eye(len(energies), dtype=torch.float64)
    (found,) = torch.autograd.grad(
        energies, vectors, units, is_grads_batched=True, retain_graph=True
    )
    (first,) = torch.autograd.grad(energies[0], vectors)
    torch.testing.assert_close(found[0], first, **EXACT)


def test_changed_weights_are_seen(potential: Potential, rng: np.random.Generator) -> None:
    graph = graph_of(potential, crystal(rng))
    before = potential(graph)["energy"]
    with torch.no_grad():
        for weight in potential.parameters():
            weight.mul_(1.1)
    assert (potential(graph)["energy"] - before).abs() > 1e-6
    assert_equal(potential, graph)
    single = potential.float()(graph.to(dtype=torch.float32))["energy"]
    torch.testing.assert_close(single, potential.double()(graph)["energy"], rtol=1e-4, atol=1e-4)


def test_constants_of_weights_are_made_once(
    potential: Potential, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not at each evaluation, which takes as long as a tenth of a small molecule's."""
    graph = graph_of(potential, molecule("CH3OH"))
    potential(graph, ("forces",))
    monkeypatch.setattr(FrozenWeights, "__init__", None)
    potential(graph, ("forces",))


def test_single_trained_weights_have_gradients(
    potential: Potential, rng: np.random.Generator
) -> None:
    """All others are frozen. In the first layer some have no effect yet."""
    graph = graph_of(potential, crystal(rng))
    inside, outside = TRAINED[potential.architecture.name.split("-")[0]]
    for name, weight in potential.named_parameters():
        if inside in name and outside not in name:
            weight.requires_grad_()
            energies = potential(graph, ("energies",))["energies"]
            (slope,) = torch.autograd.grad(energies.square().sum(), weight)
            assert slope.abs().max() > 0.0, name
            weight.requires_grad_(False)


def test_polar_coordinates_and_harmonics(rng: np.random.Generator) -> None:
    vectors = torch.from_numpy(rng.normal(size=(20, 3)))
    vectors[3] = 0.0
    harmonics = SphericalHarmonics((0, 1, 2, 3, 4, 5)).double()
    slopes = torch.from_numpy(rng.normal(size=(20, 37)))

    def values_and_gradient() -> tuple[Tensor, Tensor]:
        leaf = vectors.clone().requires_grad_()
        distances, directions = distances_and_directions(leaf)
        values = torch.cat([distances[:, None], harmonics(directions)], dim=1)
        return values, *torch.autograd.grad((values * slopes).sum(), leaf)

    found = values_and_gradient()
    with by_formula():
        expected = values_and_gradient()
    torch.testing.assert_close(found, expected, **EXACT)


@pytest.mark.parametrize("fraction", [None, 0.9])
def test_repulsion_of_the_pairs_within_reach(
    rng: np.random.Generator, fraction: float | None
) -> None:
    """A frozen term leaves out what is zero."""
    term = ZBL(ZBLSettings(covalent_fraction=fraction)).double().requires_grad_(False)
    for spread, is_zero in ((1.5, False), (30.0, True)):
        atoms = Atoms("C2H3OSi", positions=rng.uniform(0.0, spread, size=(7, 3)))
        graph = AtomGraph.from_atoms(atoms, 5.0)
        found = term(graph, {})
        with by_formula():
            expected = term(graph, {})
        torch.testing.assert_close(found, expected, **EXACT)
        assert bool((found == 0.0).all()) is is_zero
