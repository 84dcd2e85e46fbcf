"""Pairs, each once: against the list of both directions, and without a cutoff."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk, molecule

from ase_geomformer.graph.structure import geometry
from ase_geomformer.neighbors import VerletList, neighbor_list, pair_list

pytestmark = pytest.mark.quick


def small_cell() -> Atoms:
    """Two atoms, triclinic, with images of both within reach."""
    atoms = bulk("Si", a=5.43)
    atoms.rattle(0.1, seed=0)
    return atoms


STRUCTURES = {"molecule": lambda: molecule("CH3CH2OH"), "small cell": small_cell}


@pytest.mark.parametrize("make", STRUCTURES.values(), ids=STRUCTURES)
def test_pairs_and_their_mirror_images_are_the_edges(make) -> None:
    """No pair is missing, none is there twice, and their order is that of the edges."""
    geometry_ = geometry(make())
    both, half = neighbor_list(*geometry_, 7.0), pair_list(*geometry_, 7.0)
    assert 2 * half.num_edges == both.num_edges

    def rows(index: torch.Tensor, shifts: torch.Tensor) -> list[tuple[int, ...]]:
        return [tuple(row) for row in torch.cat([index.T, shifts], dim=1).tolist()]

    forward = rows(half.edge_index, half.shifts)
    backward = rows(half.edge_index.flip(0), -half.shifts)
    assert forward == sorted(forward)
    assert sorted(forward + backward) == rows(both.edge_index, both.shifts)


def test_infinite_cutoff_gives_all_pairs() -> None:
    atoms = Atoms("H5", positions=np.arange(15.0).reshape(5, 3) * 1e4)
    pairs = pair_list(*geometry(atoms), math.inf)
    assert pairs.num_edges == 10
    assert torch.equal(pairs.edge_index, pair_list(*geometry(atoms), 1e9).edge_index)
    assert not pairs.shifts.any()


def test_more_pairs_than_memory_are_refused() -> None:
    atoms = Atoms("H3000000", positions=np.zeros((3_000_000, 3)))
    with pytest.raises(ValueError, match=r"3000000 atoms make 4\.5e\+12 pairs.*smaller"):
        pair_list(*geometry(atoms), math.inf)


@pytest.mark.parametrize("cutoff", [1.2, 2.5, 4.0, 5.5])
def test_pairs_of_a_molecule_within_and_beyond_its_size(cutoff: float) -> None:
    atoms = molecule("CH3CH2OH")
    first, second = np.triu_indices(len(atoms), k=1)
    near = atoms.get_all_distances()[first, second] <= cutoff
    found = pair_list(*geometry(atoms), cutoff).edge_index
    np.testing.assert_array_equal(found, np.stack([first, second])[:, near])


def test_infinite_cutoff_is_refused_for_periodic_structures() -> None:
    with pytest.raises(ValueError, match="infinitely many.*or give a finite one"):
        pair_list(*geometry(bulk("Si")), math.inf)
    wire = Atoms("H", cell=[2, 0, 0], pbc=[True, False, False])
    with pytest.raises(ValueError, match="infinitely many"):
        VerletList(math.inf, 0.5, half=True).update(*geometry(wire))


def test_verlet_list_of_pairs(rng: np.random.Generator) -> None:
    atoms = small_cell() * (2, 2, 2)
    verlet = VerletList(5.0, skin=1.0, half=True)
    for _ in range(8):
        atoms.positions += rng.normal(scale=0.05, size=atoms.positions.shape)
        kept, fresh = verlet.update(*geometry(atoms)), pair_list(*geometry(atoms), 5.0)
        assert torch.equal(kept.edge_index, fresh.edge_index)
        assert torch.equal(kept.shifts, fresh.shifts)
    assert verlet.builds < verlet.updates


def test_verlet_list_of_all_pairs_is_built_once_for_a_structure() -> None:
    atoms = molecule("CH3CH2OH")
    verlet = VerletList(math.inf, skin=0.5, half=True)
    for displacement in (0.0, 3.0, 100.0):
        atoms.positions[0] += displacement
        assert verlet.update(*geometry(atoms)).num_edges == 36
    assert verlet.builds == 1
    assert verlet.update(*geometry(atoms[:4])).num_edges == 6
