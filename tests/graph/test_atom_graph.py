"""The edge convention, joining and splitting, padding."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from ase import Atoms

from ase_geomformer.graph.atom_graph import AtomGraph
from ase_geomformer.graph.padding import pad_graph
from ase_geomformer.potential import Potential

pytestmark = pytest.mark.quick


def assert_equal(first: AtomGraph, second: AtomGraph) -> None:
    for one, other in zip(first.tensors, second.tensors, strict=True):
        assert one.dtype == other.dtype
        assert torch.equal(one, other)


def test_edges_point_from_receiver_to_sender() -> None:
    graph = AtomGraph.from_atoms(Atoms("HO", [[0, 0, 0], [1.0, 2.0, 0.5]]), 5.0)
    assert graph.edge_index.tolist() == [[0, 1], [1, 0]]
    assert graph.edge_vectors.tolist() == [[1.0, 2.0, 0.5], [-1.0, -2.0, -0.5]]
    assert graph.atomic_numbers.tolist() == [1, 8]


def test_shifts_add_whole_cell_vectors_in_order() -> None:
    chain = Atoms("H", cell=[2.0, 9.0, 9.0], pbc=[True, False, False])
    graph = AtomGraph.from_atoms(chain, 5.0)
    assert graph.edge_vectors[:, 0].tolist() == [-4.0, -2.0, 2.0, 4.0]
    assert graph.edge_index.tolist() == [[0] * 4, [0] * 4]


def test_far_from_the_origin_loses_no_digits(ethanol: Atoms) -> None:
    here = AtomGraph.from_atoms(ethanol, 5.0, dtype=torch.float32)
    ethanol.positions += 1000.0
    there = AtomGraph.from_atoms(ethanol, 5.0, dtype=torch.float32)
    np.testing.assert_allclose(there.edge_vectors, here.edge_vectors, atol=3e-7)


def test_charge_spin_and_cell(silicon: Atoms) -> None:
    silicon.info.update(charge=np.array([-1]), spin=np.float32(3))
    graph = AtomGraph.from_atoms(silicon, 3.0)
    assert (graph.charge.item(), graph.spin.item()) == (-1.0, 3.0)
    np.testing.assert_array_equal(graph.cell[0], silicon.cell.array)
    assert graph.volume.item() == pytest.approx(silicon.get_volume())


def test_defaults_are_neutral_singlets_without_volume(ethanol: Atoms) -> None:
    graph = AtomGraph.from_atoms(ethanol, 3.0)
    assert (graph.charge.item(), graph.spin.item(), graph.volume.item()) == (0.0, 1.0, 0.0)


def test_split_undoes_join(ethanol: Atoms, silicon: Atoms) -> None:
    ethanol.info["charge"] = 1
    structures = [silicon, Atoms("H"), ethanol, silicon[:3]]
    singles = [AtomGraph.from_atoms(atoms, 4.0) for atoms in structures]
    batch = AtomGraph.join(singles)
    assert batch.num_structures == 4
    assert batch.batch.tolist() == [0] * 8 + [1] + [2] * 9 + [3] * 3
    assert bool((batch.batch[batch.edge_index[0]] == batch.batch[batch.edge_index[1]]).all())
    for single, part in zip(singles, batch.split(), strict=True):
        assert_equal(single, part)
    assert_equal(batch, AtomGraph.from_atoms(structures, 4.0))


def test_join_of_batches(ethanol: Atoms, silicon: Atoms) -> None:
    singles = [AtomGraph.from_atoms(atoms, 4.0) for atoms in (ethanol, silicon, ethanol)]
    nested = AtomGraph.join([AtomGraph.join(singles[:2]), singles[2]])
    assert_equal(nested, AtomGraph.join(singles))


def test_padding_changes_no_result(potential: Potential, ethanol: Atoms, silicon: Atoms) -> None:
    graph = AtomGraph.from_atoms([ethanol, silicon], potential.cutoff)
    names = ("energy", "energies", "forces", "stress", "stresses")
    expected = potential(graph, names)
    for structures in (3, 6):
        padded = pad_graph(graph, 32, graph.num_edges + 100, potential.cutoff, None, structures)
        sizes = (padded.num_atoms, padded.num_edges, padded.num_structures)
        assert sizes == (32, graph.num_edges + 100, structures)
        results = potential(padded, names)
        for name in names:
            rows = expected[name].shape[0]
            np.testing.assert_allclose(
                results[name][:rows].detach(), expected[name].detach(), rtol=0, atol=1e-12
            )
        ghosts = slice(graph.num_atoms, None)
        np.testing.assert_array_equal(results["forces"][ghosts].detach(), 0.0)


def test_padding_needs_room(ethanol: Atoms) -> None:
    graph = AtomGraph.from_atoms(ethanol, 5.0)
    with pytest.raises(ValueError, match="cannot pad 9 atoms and 72 edges to 9 atoms"):
        pad_graph(graph, 9, 80, 5.0)
    with pytest.raises(ValueError, match="and 71 edges"):
        pad_graph(graph, 10, 71, 5.0)
    with pytest.raises(ValueError, match="1 structures to 1"):
        pad_graph(graph, 10, 72, 5.0, None, 1)


def test_moving_keeps_integers(ethanol: Atoms) -> None:
    graph = AtomGraph.from_atoms(ethanol, 5.0).to(dtype=torch.float32)
    assert graph.edge_vectors.dtype == graph.cell.dtype == graph.charge.dtype == torch.float32
    assert graph.edge_index.dtype == graph.batch.dtype == graph.atomic_numbers.dtype == torch.int64


def test_wrong_shapes_are_named(ethanol: Atoms) -> None:
    graph = AtomGraph.from_atoms(ethanol, 5.0)
    with pytest.raises(ValueError, match=r"edge_index has shape \(2, 5\), expected \(2, 72\)"):
        replace(graph, edge_index=graph.edge_index[:, :5])


def test_nothing_to_build() -> None:
    with pytest.raises(ValueError, match="no atoms"):
        AtomGraph.from_atoms(Atoms(), 5.0)
    with pytest.raises(ValueError, match="list of Atoms is empty"):
        AtomGraph.from_atoms([], 5.0)


@pytest.mark.parametrize("cutoff", [0.0, -1.0, np.nan])
def test_cutoff_must_be_positive(cutoff: float, ethanol: Atoms) -> None:
    with pytest.raises(ValueError, match="cutoff"):
        AtomGraph.from_atoms(ethanol, cutoff)


def test_far_pairs_are_there_only_when_asked(ethanol: Atoms) -> None:
    graph = AtomGraph.from_atoms(ethanol, 3.0, dtype=torch.float32)
    assert (graph.far_index.shape, graph.far_vectors.shape) == ((2, 0), (0, 3))
    assert (graph.far_index.dtype, graph.far_vectors.dtype) == (torch.int64, torch.float32)
    assert AtomGraph.from_atoms(ethanol, 3.0, far_cutoff=np.inf).num_far_pairs == 36


def test_far_pairs_are_half_of_the_edges(silicon: Atoms) -> None:
    """The same vectors, each once, whichever of its two directions."""
    graph = AtomGraph.from_atoms(silicon, 6.0, far_cutoff=6.0)
    assert 2 * graph.num_far_pairs == graph.num_edges

    def vectors(index: torch.Tensor, vectors: torch.Tensor) -> list:
        return sorted(map(tuple, torch.cat([index.T, vectors], dim=1).tolist()))

    both = vectors(graph.far_index, graph.far_vectors)
    both += vectors(graph.far_index.flip(0), -graph.far_vectors)
    np.testing.assert_allclose(
        np.sort(both, axis=0),
        np.sort(vectors(graph.edge_index, graph.edge_vectors), axis=0),
        atol=1e-12,
    )


def test_far_pairs_follow_join_split_and_pad(ethanol: Atoms, silicon: Atoms) -> None:
    structures = [silicon, Atoms("H"), ethanol]
    singles = [AtomGraph.from_atoms(atoms, 3.0, far_cutoff=5.0) for atoms in structures]
    batch = AtomGraph.from_atoms(structures, 3.0, far_cutoff=5.0)
    assert batch.num_far_pairs == sum(single.num_far_pairs for single in singles)
    for single, part in zip(singles, batch.split(), strict=True):
        assert_equal(single, part)
    padded = pad_graph(batch, 20, batch.num_edges, 3.0, batch.num_far_pairs + 7)
    assert padded.num_far_pairs == batch.num_far_pairs + 7
    for single, part in zip(singles, list(padded.split())[:-1], strict=True):
        assert_equal(single, part)
    assert (padded.far_index[:, -7:] == 19).all()
    with pytest.raises(ValueError, match="far pairs to 3"):
        pad_graph(batch, 20, batch.num_edges, 3.0, 3)
