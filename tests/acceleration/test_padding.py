"""What a graph shares with the one before is filled up once, and never stale."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from ase import Atoms

from ase_geomformer.acceleration.padding import GhostFilling
from ase_geomformer.graph.atom_graph import AtomGraph
from ase_geomformer.graph.padding import ghost_graph, pad_graph

pytestmark = pytest.mark.quick


@pytest.fixture
def graph(ethanol: Atoms) -> AtomGraph:
    return AtomGraph.from_atoms(ethanol, 2.0)


@pytest.fixture
def fill(graph: AtomGraph) -> GhostFilling:
    return GhostFilling(ghost_graph(graph, 12, 40, 2.0, 0, 2))


def assert_padded(found: list[torch.Tensor], graph: AtomGraph) -> None:
    expected = pad_graph(graph, 12, 40, 2.0, 0, 2).tensors
    for own, wanted in zip(found, expected, strict=True):
        assert torch.equal(own, wanted)


def test_what_is_shared_is_not_filled_up_again(graph: AtomGraph, fill: GhostFilling) -> None:
    first = fill(graph)
    moved = replace(graph, edge_vectors=graph.edge_vectors + 0.01)
    second = fill(moved)
    assert_padded(first, graph)
    assert_padded(second, moved)
    again = [a is b for a, b in zip(first, second, strict=True)]
    assert again == [a is b for a, b in zip(graph.tensors, moved.tensors, strict=True)]
    assert again.count(False) == 1


def test_what_was_changed_in_place_is_filled_up_again(graph: AtomGraph, fill: GhostFilling) -> None:
    fill(graph)
    for tensor in (graph.edge_vectors, graph.charge, graph.cell):
        tensor += 0.5
        assert_padded(fill(graph), graph)


def test_in_inference_mode_too(ethanol: Atoms, fill: GhostFilling) -> None:
    """Torch does not count changes there."""
    with torch.inference_mode():
        graph = AtomGraph.from_atoms(ethanol, 2.0)
        fill(graph)
        graph.charge.fill_(1.0)
        assert_padded(fill(graph), graph)
