from __future__ import annotations

import math

import pytest
import torch
from ase import Atoms

from ase_geomformer.graph.atom_graph import AtomGraph
from ase_geomformer.layers.embedding import ElectronEmbedding, element_embedding

pytestmark = pytest.mark.quick


def test_elements_start_with_the_variance_of_the_original_codes() -> None:
    torch.manual_seed(0)
    table = element_embedding(64).weight
    assert table.shape == (119, 64)
    assert math.isclose(table.std().item(), 1.0 / 8.0, rel_tol=0.03)


def test_electrons_are_shared_out_within_each_structure() -> None:
    """Equal atoms take equal parts, which fall with the size of the structure; nothing of none."""
    torch.manual_seed(0)
    embed = ElectronEmbedding(8)
    structures = [Atoms("H2", positions=[[0, 0, 0], [0, 0, 1]]), Atoms("H"), Atoms("H")]
    for atoms, charge in zip(structures, (1, 1, 0), strict=True):
        atoms.info["charge"] = charge
    graph = AtomGraph.from_atoms(structures, 3.0, dtype=torch.float32)
    values = embed(graph, graph.charge)
    torch.testing.assert_close(values[0], values[1])
    assert (values[0] - values[2]).abs().max() > 1e-3
    assert not values[3].any()
    negative = embed(graph, -graph.charge)
    assert (negative[2] + values[2]).abs().max() > 1e-3
