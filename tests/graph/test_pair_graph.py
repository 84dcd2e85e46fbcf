"""Graphs with one direction of each edge give what those with both give."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk, molecule
from torch import Tensor

from ase_geomformer.architectures import build
from ase_geomformer.graph.atom_graph import AtomGraph
from ase_geomformer.graph.domain import DomainGraph
from ase_geomformer.graph.padding import pad_graph
from ase_geomformer.graph.pair_graph import PairGraph, Pairing
from ase_geomformer.physics import build_terms
from ase_geomformer.potential import Potential

CUTOFF = 3.0
SMALL = {"num_features": 16, "num_layers": 1, "cutoff": CUTOFF, "num_radial_basis": 4}
SETTINGS = {
    "so3krates": {**SMALL, "degrees": (1, 2), "avg_num_neighbors": 5.0},
    "so3krates-dense": {**SMALL, "degrees": (1, 2), "initial_normalization": 4.0},
    "so3krates-2022": {**SMALL, "degrees": (1, 2), "softening": 1e-3},
    "est": {"cutoff": CUTOFF, "avg_num_neighbors": 5.0, "num_layers": 1, "num_channels": 8},
}


def rattled(atoms: Atoms) -> Atoms:
    atoms.rattle(0.05, seed=3)
    return atoms


STRUCTURES: dict[str, Atoms | list[Atoms]] = {
    "two atoms": molecule("CO"),
    "molecule": rattled(molecule("CH3CH2OH")),
    "one atom of a crystal": bulk("Si", "sc", a=2.4),
    "chain": Atoms("C", cell=[1.3, 9.0, 9.0], pbc=(True, False, False)),
    "crystal": rattled(bulk("Si", cubic=True)),
    "batch": [rattled(molecule("CH3CH2OH")), bulk("Si", "sc", a=2.4), molecule("H2O")],
}
structures = pytest.mark.parametrize("atoms", STRUCTURES.values(), ids=STRUCTURES)


def graph_of(atoms: Atoms | Sequence[Atoms]) -> AtomGraph:
    return AtomGraph.from_atoms(atoms, CUTOFF)


def pairs_of(graph: AtomGraph) -> PairGraph:
    pairs = PairGraph.of(graph)
    assert pairs is not None
    return pairs


def rows(graph: AtomGraph) -> Tensor:
    """Ends and vectors of the edges (E, 5), in an order of their own."""
    edges = torch.cat([graph.edge_index.T.double(), graph.edge_vectors.round(decimals=9)], dim=1)
    return torch.stack(sorted(edges, key=lambda row: row.tolist()))


@structures
def test_both_ways_are_the_edges(atoms: Atoms | list[Atoms]) -> None:
    graph = graph_of(atoms)
    pairs = pairs_of(graph)
    assert 2 * pairs.num_edges == graph.num_edges
    whole = pairs.both_ways()
    assert not whole.is_paired
    half = pairs.num_edges
    assert torch.equal(whole.edge_index[:, half:], pairs.edge_index.flip(0))
    torch.testing.assert_close(rows(whole), rows(graph), rtol=0.0, atol=0.0)
    assert graph.both_ways() is graph


def test_atoms_on_one_spot_are_a_pair() -> None:
    assert pairs_of(graph_of(Atoms("CO", positions=np.zeros((2, 3))))).num_edges == 1


def test_vectors_between_images_may_be_rounded() -> None:
    """Programs that hold images as atoms give both directions as differences of their own."""
    graph = graph_of(bulk("Si", "sc", a=2.4))
    noise = torch.tensor([1e-15, 0.0, -1e-15], dtype=torch.float64)
    shaken = replace(graph, edge_vectors=graph.edge_vectors + noise)
    whole = pairs_of(shaken).both_ways()
    torch.testing.assert_close(rows(whole), rows(graph), rtol=0.0, atol=1e-9)


def test_edges_without_their_reverses_are_no_pairs() -> None:
    graph = graph_of(STRUCTURES["molecule"])
    assert PairGraph.of(pad_graph(graph, 12, 90, CUTOFF)) is None
    directed = replace(
        graph, edge_index=graph.edge_index[:, 1:], edge_vectors=graph.edge_vectors[1:]
    )
    assert PairGraph.of(directed) is None


def test_edges_of_a_domain_are_no_pairs() -> None:
    """Without (3, 1) and (2, 3), half of the edges still have the larger number second."""
    edge_index = torch.tensor([[0, 1, 1, 3], [1, 0, 3, 2]])
    graph = DomainGraph(
        atomic_numbers=torch.ones(4, dtype=torch.int64),
        edge_index=edge_index,
        edge_vectors=torch.ones(4, 3),
        batch=torch.zeros(4, dtype=torch.int64),
        charge=torch.zeros(1),
        spin=torch.ones(1),
        cell=torch.zeros(1, 3, 3),
        exchanges=False,
    )
    assert 2 * (edge_index[0] < edge_index[1]).sum() == graph.num_edges
    assert PairGraph.of(graph) is None


def test_split() -> None:
    graph = graph_of(STRUCTURES["batch"])
    for part, whole in zip(pairs_of(graph).split(), graph.split(), strict=True):
        assert part.is_paired
        torch.testing.assert_close(rows(part.both_ways()), rows(whole), rtol=0.0, atol=0.0)


def test_edges_are_known_again_unless_they_change() -> None:
    graph = graph_of(STRUCTURES["molecule"])
    pairing = Pairing.of(graph)
    assert pairing is not None
    moved = replace(graph, edge_vectors=1.01 * graph.edge_vectors)
    assert pairing.is_of(moved)
    assert torch.equal(pairing.pairs(moved).edge_vectors, pairs_of(moved).edge_vectors)
    assert not pairing.is_of(replace(graph, edge_index=graph.edge_index.clone()))
    graph.edge_index.copy_(graph.edge_index.flip(0))
    assert not pairing.is_of(graph)


@pytest.mark.parametrize("name", SETTINGS)
@structures
def test_potentials_give_the_same(name: str, atoms: Atoms | list[Atoms]) -> None:
    """Those that know pairs and those that do not, with a further term."""
    torch.manual_seed(0)
    elements = ("H", "C", "O", "Si")
    potential = Potential(build(name, SETTINGS[name]), elements, terms=build_terms({"zbl": {}}))
    graph = graph_of(atoms)
    names = ("energies", "forces", "stress", "stresses")
    found, expected = potential(pairs_of(graph), names), potential(graph, names)
    for key in names:
        torch.testing.assert_close(
            found[key], expected[key], rtol=1e-9, atol=1e-10, equal_nan=True, msg=key
        )
