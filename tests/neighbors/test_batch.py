"""The torch backend: many structures at once, and work that grows with their number of atoms."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ase_geomformer.neighbors import batched_neighbor_list, neighbor_list
from ase_geomformer.neighbors.backend_torch import (
    Grid,
    column_ranges,
    ghost_points,
    own_points,
)
from ase_geomformer.neighbors.problem import pose
from tests.neighbors.structures import Structure, gas, random_structure, rows

pytestmark = pytest.mark.quick


def join(structures: list[Structure]) -> tuple[torch.Tensor, ...]:
    """Positions, cells, pbcs and batch of the structures."""
    x, cells, pbcs = zip(*(structure.tensors for structure in structures), strict=True)
    sizes = torch.tensor([len(positions) for positions in x])
    batch = torch.repeat_interleave(torch.arange(len(x)), sizes)
    return torch.cat(x), torch.stack(cells), torch.stack(pbcs), batch


@settings(max_examples=60, deadline=None)
@given(seeds=st.lists(st.integers(0, 2**32), min_size=1, max_size=8))
def test_batch_equals_singles(seeds: list[int]) -> None:
    structures = [replace(random_structure(seed), cutoff=4.0) for seed in seeds]
    x, cells, pbcs, batch = join(structures)
    edges = batched_neighbor_list(x, cells, pbcs, batch, 4.0)
    singles, before = [], 0
    for structure in structures:
        single = rows(neighbor_list(*structure.tensors, 4.0))
        singles.append(single + [before, before, 0, 0, 0])
        before += len(structure.positions)
    np.testing.assert_array_equal(rows(edges), np.vstack(singles))
    lengths = edges.vectors(x, cells, batch).norm(dim=1)
    assert (lengths <= 4.0 + 1e-12).all()


def test_structures_without_atoms_or_edges() -> None:
    x = torch.tensor([[0.0, 0, 0], [1.0, 0, 0], [0.0, 0, 0]])
    cells, pbcs = torch.zeros(4, 3, 3), torch.zeros(4, 3, dtype=torch.bool)
    edges = batched_neighbor_list(x, cells, pbcs, torch.tensor([1, 1, 3]), 2.0)
    assert rows(edges).tolist() == [[0, 1, 0, 0, 0], [1, 0, 0, 0, 0]]


@pytest.mark.parametrize("batch", [[1, 0, 0], [-1, 0, 1], [0, 1, 2]])
def test_wrong_batch_is_refused(batch: list[int]) -> None:
    cells, pbcs = torch.zeros(2, 3, 3), torch.zeros(2, 3, dtype=torch.bool)
    with pytest.raises(ValueError, match=r"within 0 \.\.\. 1"):
        batched_neighbor_list(torch.zeros(3, 3), cells, pbcs, torch.tensor(batch), 2.0)


def test_bad_cell_is_named_wherever_it_stands() -> None:
    structures = [gas(5), replace(gas(5), cell=np.diag([3.0, 4.0, 0.0])), gas(5)]
    with pytest.raises(ValueError, match=r"cell \[\[3\.0, 0\.0, 0\.0\], \[0\.0, 4\.0"):
        batched_neighbor_list(*join(structures), 2.0)


def test_work_and_memory_grow_with_the_number_of_atoms() -> None:
    per_atom = []
    for atoms in (1000, 8000):
        structure = gas(atoms)
        x, cell, pbc = structure.tensors
        problem = pose(x, cell[None], pbc[None], torch.zeros(atoms, dtype=torch.int64), 5.0)
        grid = Grid.of(problem)
        own = own_points(problem).sorted_on(grid)
        ghosts = ghost_points(problem).sorted_on(grid)
        ranges = [
            column_ranges(grid, own, own, 5.0, later_only=True),
            column_ranges(grid, own, ghosts, 5.0, later_only=False),
        ]
        candidates = sum(int((stop - start).sum()) for start, stop in ranges)
        assert own.table is not None
        per_atom.append([candidates, grid.total, ghosts.atoms.shape[0]] / np.float64(atoms))
    # Half of the sphere of the cutoff holds 13 atoms; of all 27 bins, 84.
    assert per_atom[0][0] < 60
    assert (per_atom[1] <= per_atom[0] * 1.05).all()


def test_table_of_bins_is_spared_for_empty_space() -> None:
    x = torch.tensor([[0.0, 0, 0], [1.0, 0, 0], [1e7, 1e7, 1e7]], dtype=torch.float64)
    zero, pbc = torch.zeros(1, 3, 3, dtype=torch.float64), torch.zeros(1, 3, dtype=torch.bool)
    problem = pose(x, zero, pbc, torch.zeros(3, dtype=torch.int64), 3.0)
    grid = Grid.of(problem)
    assert grid.total > 1e18
    assert own_points(problem).sorted_on(grid).table is None
    edges = neighbor_list(x, zero[0], pbc[0], 3.0, backend="torch")
    assert rows(edges).tolist() == [[0, 1, 0, 0, 0], [1, 0, 0, 0, 0]]


def test_bins_widen_before_their_numbers_overflow() -> None:
    x = torch.tensor([[0.0, 0, 0], [0.5, 0, 0], [1e12, 1e12, 1e12]], dtype=torch.float64)
    zero, pbc = torch.zeros(3, 3), torch.zeros(3, dtype=torch.bool)
    edges = neighbor_list(x, zero, pbc, 1.0, backend="torch")
    assert rows(edges).tolist() == [[0, 1, 0, 0, 0], [1, 0, 0, 0, 0]]
