"""Every backend gives the brute-force list, in canonical order, for every kind of structure."""

from __future__ import annotations

import sys
import time
from dataclasses import replace
from resource import RUSAGE_SELF, getrusage
from types import ModuleType

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from ase_geomformer.neighbors import BACKENDS, neighbor_list
from ase_geomformer.neighbors.backend_torch_cluster import FIRST_GUESS
from ase_geomformer.neighbors.problem import pose
from tests.neighbors.structures import (
    Structure,
    brute_force,
    gas,
    installed,
    random_structure,
    rows,
)

PERIODIC = [name for name in BACKENDS if name != "torch-cluster"]
SLAB = Structure(
    positions=np.random.default_rng(1).random((20, 3)) * [6.0, 6.0, 9.0],
    cell=np.diag([6.0, 6.0, 0.0]),
    pbc=np.array([True, True, False]),
    cutoff=4.0,
)


def edges_of(structure: Structure, backend: str = "auto") -> np.ndarray:
    return rows(neighbor_list(*structure.tensors, structure.cutoff, backend=backend))


@pytest.mark.parametrize("backend", PERIODIC)
@settings(max_examples=250, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_equals_brute_force(backend: str, seed: int) -> None:
    structure = random_structure(seed)
    np.testing.assert_array_equal(edges_of(structure, installed(backend)), brute_force(structure))


@settings(max_examples=100, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_torch_cluster_equals_brute_force_in_the_open(seed: int) -> None:
    structure = replace(random_structure(seed), pbc=np.zeros(3, dtype=bool))
    np.testing.assert_array_equal(
        edges_of(structure, installed("torch-cluster")), brute_force(structure)
    )


def test_torch_cluster_is_asked_again_until_it_truncates_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With a stand-in that truncates as torch-cluster does, so that it runs everywhere."""

    def radius_graph(x: Tensor, r: float, batch: Tensor, max_num_neighbors: int) -> Tensor:
        near = (torch.cdist(x, x) <= r) & (batch[:, None] == batch) & ~torch.eye(len(x)).bool()
        kept = near & (near.cumsum(dim=1) <= max_num_neighbors)
        receivers, senders = kept.nonzero().T
        return torch.stack([senders, receivers])

    stand_in = ModuleType("torch_cluster")
    monkeypatch.setattr(stand_in, "radius_graph", radius_graph, raising=False)
    monkeypatch.setitem(sys.modules, "torch_cluster", stand_in)
    monkeypatch.setitem(
        BACKENDS, "torch-cluster", replace(BACKENDS["torch-cluster"], module="torch")
    )
    structure = replace(gas(600, density=2.0), pbc=np.zeros(3, dtype=bool))
    expected = edges_of(structure, "torch")
    assert np.bincount(expected[:, 0]).max() > 2 * FIRST_GUESS
    np.testing.assert_array_equal(edges_of(structure, "torch-cluster"), expected)


def test_torch_cluster_keeps_all_neighbours_of_a_crowded_atom() -> None:
    structure = replace(gas(600, density=2.0), pbc=np.zeros(3, dtype=bool))
    np.testing.assert_array_equal(
        edges_of(structure, installed("torch-cluster")), edges_of(structure, "torch")
    )


@pytest.mark.parametrize("backend", PERIODIC)
def test_large_gas_equals_the_default(backend: str) -> None:
    structure = gas(2000)
    np.testing.assert_array_equal(edges_of(structure, installed(backend)), edges_of(structure))


@pytest.mark.parametrize("backend", PERIODIC)
def test_distance_equal_to_the_cutoff_is_an_edge(backend: str) -> None:
    lattice = np.array(np.meshgrid(*[np.arange(3.0)] * 3)).reshape(3, -1).T * 1.5
    structure = Structure(lattice, np.eye(3) * 4.5, np.ones(3, dtype=bool), 1.5)
    edges = edges_of(structure, installed(backend))
    assert len(edges) == 27 * 6
    nearer = replace(structure, cutoff=float(np.nextafter(1.5, 0)))
    assert len(edges_of(nearer, backend)) == 0


@pytest.mark.parametrize("backend", PERIODIC)
@pytest.mark.parametrize("pbc", [False, True])
def test_single_atom(backend: str, pbc: bool) -> None:
    structure = Structure(np.full((1, 3), 0.3), np.eye(3) * 3.0, np.full(3, pbc), 3.1)
    assert len(edges_of(structure, installed(backend))) == (6 if pbc else 0)


@pytest.mark.parametrize("backend", PERIODIC)
def test_two_atoms_on_one_spot_are_joined_by_an_edge_of_length_zero(backend: str) -> None:
    structure = Structure(np.ones((2, 3)), np.zeros((3, 3)), np.zeros(3, dtype=bool), 2.0)
    assert edges_of(structure, installed(backend)).tolist() == [[0, 1, 0, 0, 0], [1, 0, 0, 0, 0]]


@pytest.mark.parametrize("backend", PERIODIC)
@pytest.mark.parametrize("open_axis", [0, 1, 2])
@pytest.mark.parametrize("open_vector", ["zero", "normal", "in the plane"])
def test_slab_in_every_order_of_axes(backend: str, open_axis: int, open_vector: str) -> None:
    turn = [(0, 1, 2)[axis - open_axis - 1] for axis in range(3)]
    cell = SLAB.cell.copy()
    cell[2] = {"zero": (0, 0, 0), "normal": (0, 0, 20), "in the plane": (3, 1, 0)}[open_vector]
    turned = replace(SLAB, cell=cell[turn], pbc=SLAB.pbc[turn])
    assert not turned.pbc[open_axis]
    edges, expected = edges_of(turned, installed(backend)), brute_force(turned)
    np.testing.assert_array_equal(edges, expected)
    assert len(edges) == len(brute_force(SLAB)) > 0


@pytest.mark.parametrize("backend", PERIODIC)
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_slab_rotated_by_a_right_angle(backend: str, axis: int) -> None:
    rotation = np.roll(np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]]), (axis, axis), (0, 1))
    turned = replace(SLAB, positions=SLAB.positions @ rotation, cell=SLAB.cell @ rotation)
    np.testing.assert_array_equal(edges_of(turned, installed(backend)), brute_force(SLAB))


@pytest.mark.parametrize("backend", PERIODIC)
@pytest.mark.parametrize("shift", [-6.0, 6.0, 100.0, 1000.0])
def test_far_molecule_has_the_same_edges_at_the_same_cost(backend: str, shift: float) -> None:
    molecule = replace(gas(60), pbc=np.zeros(3, dtype=bool), cell=np.zeros((3, 3)))
    moved = replace(molecule, positions=molecule.positions + shift)
    expected = edges_of(molecule, installed(backend))
    started, kilobytes = time.perf_counter(), getrusage(RUSAGE_SELF).ru_maxrss
    np.testing.assert_array_equal(edges_of(moved, backend), expected)
    # A made-up box from the origin to the molecule takes half a minute and gigabytes.
    assert time.perf_counter() - started < 2.0
    assert getrusage(RUSAGE_SELF).ru_maxrss - kilobytes < 200_000


@pytest.mark.parametrize("backend", PERIODIC)
def test_fragments_far_apart(backend: str) -> None:
    molecule = replace(gas(30), pbc=np.zeros(3, dtype=bool))
    one = edges_of(molecule, installed(backend))
    far = replace(molecule, positions=np.vstack([molecule.positions, molecule.positions + 1e5]))
    other = one + [30, 30, 0, 0, 0]
    started = time.perf_counter()
    np.testing.assert_array_equal(edges_of(far, backend), np.vstack([one, other]))
    assert time.perf_counter() - started < 2.0


@pytest.mark.parametrize("backend", PERIODIC)
def test_caller_keeps_their_arrays(backend: str) -> None:
    structure = random_structure(3)
    tensors = structure.tensors
    neighbor_list(*tensors, structure.cutoff, backend=installed(backend))
    for tensor, array in zip(
        tensors, (structure.positions, structure.cell, structure.pbc), strict=True
    ):
        np.testing.assert_array_equal(tensor.numpy(), array)


def test_strided_and_single_precision_input() -> None:
    structure = random_structure(5)
    x, cell, pbc = structure.tensors
    expected = rows(neighbor_list(x, cell, pbc, structure.cutoff))
    strided = neighbor_list(
        x.T.contiguous().T, cell.T.contiguous().T, pbc.clone(), structure.cutoff
    )
    np.testing.assert_array_equal(rows(strided), expected)
    single = neighbor_list(x.float(), cell, pbc, structure.cutoff)
    rounded = neighbor_list(x.float().double(), cell, pbc, structure.cutoff)
    np.testing.assert_array_equal(rows(single), rows(rounded))


def test_no_atoms_no_edges() -> None:
    edges = neighbor_list(torch.zeros(0, 3), torch.eye(3), torch.ones(3, dtype=bool), 5.0)
    assert edges.edge_index.shape == (2, 0)
    assert edges.shifts.shape == (0, 3)


def test_shifts_are_read_only_where_there_are_some() -> None:
    positions, cell, pbc = gas(30).tensors
    assert neighbor_list(positions, cell, pbc, 4.0).shifted
    outside = neighbor_list(positions, cell, torch.zeros(3, dtype=torch.bool), 4.0)
    # Nor is the cell.
    shorter = outside.within(positions, torch.full((3, 3), torch.nan), 2.0)
    assert outside.num_edges > shorter.num_edges > 0
    for found in (outside, shorter):
        assert not found.shifted
        assert not found.shifts.any()
        assert found.shifts.shape == (found.num_edges, 3)


def test_vectors_follow_the_convention_and_are_differentiable() -> None:
    structure = random_structure(12)
    x, cell, pbc = structure.tensors
    edges = neighbor_list(x, cell, pbc, structure.cutoff)
    i, j = edges.edge_index
    assert edges.num_edges > 0
    expected = x[j] + edges.shifts.double() @ cell - x[i]
    torch.testing.assert_close(edges.vectors(x, cell), expected)
    x.requires_grad_()
    cell.requires_grad_()
    assert torch.autograd.gradcheck(edges.vectors, (x, cell))


@pytest.mark.parametrize("cutoff", [0.0, -1.0, float("nan"), float("inf")])
def test_useless_cutoff_is_refused(cutoff: float) -> None:
    with pytest.raises(ValueError, match=f"cutoff .* not {cutoff}"):
        neighbor_list(*gas(5).tensors, cutoff)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_bad_position_is_refused_by_its_index(value: float) -> None:
    structure = gas(5)
    structure.positions[3, 1] = value
    with pytest.raises(ValueError, match=r"1 of 5 atoms .*index 3"):
        neighbor_list(*structure.tensors, 3.0)


@pytest.mark.parametrize(
    "cell",
    [
        np.diag([5.0, 5.0, 0.0]),
        [[5.0, 0, 0], [5.0, 0, 0], [0, 0, 5.0]],
        [[1.0, 2, 3], [4, 5, 6], [7, 8, 9]],
        np.full((3, 3), np.nan),
    ],
)
@pytest.mark.parametrize("backend", PERIODIC)
def test_degenerate_cell_is_refused_by_its_value(backend: str, cell: object) -> None:
    structure = replace(gas(5), cell=np.array(cell))
    with pytest.raises(ValueError, match=r"cell \[\[.*periodic axes \(a, b, c\)"):
        edges_of(structure, installed(backend))


def test_list_beyond_memory_is_refused_with_its_size() -> None:
    structure = replace(gas(1), cell=np.eye(3) * 1e-3)
    with pytest.raises(ValueError, match=r"5\.2e\+11 edges .* 1\.0e\+12 periodic images"):
        edges_of(structure)


def test_large_system_is_not_mistaken_for_an_absurd_one() -> None:
    for pbc in (False, True):
        structure = replace(gas(10**6), pbc=np.full(3, pbc))
        x, cell, periodic = structure.tensors
        batch = torch.zeros(len(x), dtype=torch.int64)
        assert pose(x, cell[None], periodic[None], batch, 5.0).reach == (int(pbc),) * 3


def test_unknown_backend_is_refused_with_those_there_are() -> None:
    with pytest.raises(ValueError, match="'kd-tree' is unknown; available: auto, vesin, torch"):
        edges_of(gas(5), "kd-tree")


def test_missing_backend_is_refused_with_the_way_to_install_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    gone = replace(BACKENDS["matscipy"], module="no_such_module")
    monkeypatch.setitem(BACKENDS, "matscipy", gone)
    with pytest.raises(ValueError, match="not installed.*matscipy after: pip install matscipy"):
        edges_of(gas(5), "matscipy")


def test_default_does_without_vesin(monkeypatch: pytest.MonkeyPatch) -> None:
    structure = random_structure(7)
    gone = replace(BACKENDS["vesin"], module="no_such_module")
    monkeypatch.setitem(BACKENDS, "vesin", gone)
    np.testing.assert_array_equal(edges_of(structure), brute_force(structure))


def test_torch_cluster_refuses_periodic_boundaries() -> None:
    with pytest.raises(ValueError, match="open boundaries only"):
        edges_of(gas(5), installed("torch-cluster"))


@pytest.mark.parametrize("length", [15906.0, 1e6])
@pytest.mark.parametrize("backend", ["auto", "vesin", "torch", "nvalchemi"])
def test_a_very_long_and_narrow_cell(length: float, backend: str) -> None:
    """Boxes with very many bins along one axis: vesin 0.6.2 dies of them (SIGFPE)."""
    positions = torch.tensor([[0.5, 0, 0], [1.5, 0, 0], [length - 1.0, 1, 0]], dtype=torch.float64)
    cell = torch.diag(torch.tensor([length, 10.0, 10.0], dtype=torch.float64))
    pbc = torch.tensor([True, False, False])
    edges = neighbor_list(positions, cell, pbc, 5.0, backend=installed(backend))
    assert edges.edge_index.tolist() == [[0, 0, 1, 1, 2, 2], [1, 2, 0, 2, 0, 1]]
    assert edges.shifts[:, 0].tolist() == [0, -1, 0, -1, 1, 1]


@pytest.mark.parametrize("backend", ["auto", "vesin", "torch", "nvalchemi"])
def test_skewed_open_and_vast_cells(backend: str) -> None:
    """Vesin 0.6.2 dies of both when they are handed over as they are (SIGFPE)."""
    wire = torch.tensor(
        [[0.0, 1.4, -38.9], [34.9, 0.0, 0.0], [0.0, -4321.9, -155.5]], dtype=torch.float64
    )
    vast = torch.diag(torch.tensor([31_400.0, 55.0, 99_200.0], dtype=torch.float64))
    positions = torch.tensor(
        [[0.0, 0, 0], [0.01, 0.006, 0.0], [0.5, -0.5, 0.4], [0.3, 0.2, 0.1]], dtype=torch.float64
    )
    for cell, pbc in ((wire, [False, False, True]), (vast, [True, False, True])):
        edges = neighbor_list(positions, cell, torch.tensor(pbc), 5.5, backend=installed(backend))
        assert edges.edge_index.shape == (2, 12)  # all are neighbours of all, and of no image
        assert not edges.shifts.any()
