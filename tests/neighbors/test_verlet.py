"""A list that is reused equals a fresh one at every step, and is rebuilt only when it must be."""

from __future__ import annotations

import copy
import pickle
from dataclasses import replace

import numpy as np
import pytest
import torch

from ase_geomformer.neighbors import VerletList, neighbor_list
from ase_geomformer.neighbors import verlet as verlet_module
from tests.neighbors.structures import Structure, gas, random_structure, rows

pytestmark = pytest.mark.quick


def agree(verlet: VerletList, structure: Structure) -> None:
    x, cell, pbc = structure.tensors
    fresh = neighbor_list(x, cell, pbc, verlet.cutoff)
    np.testing.assert_array_equal(rows(verlet.update(x, cell, pbc)), rows(fresh))


def moved(structure: Structure, step: np.ndarray | float) -> Structure:
    return replace(structure, positions=structure.positions + step)


def strained(structure: Structure, deformation: np.ndarray) -> Structure:
    return replace(
        structure,
        positions=structure.positions @ deformation,
        cell=structure.cell @ deformation,
    )


@pytest.mark.parametrize("seed", range(12))
def test_equals_fresh_list_under_motion_and_compression(seed: int) -> None:
    rng = np.random.default_rng(seed)
    structure = replace(random_structure(seed), cutoff=3.0)
    verlet = VerletList(3.0, skin=0.8)
    for _ in range(60):
        # In all 20 % shorter, with shear and some rotation as barostats of a full cell give.
        step = np.eye(3) * 0.8 ** (1 / 60) + 0.004 * rng.normal(size=(3, 3))
        structure = strained(structure, step)
        structure = moved(structure, 0.05 * rng.normal(size=structure.positions.shape))
        agree(verlet, structure)
    assert verlet.updates == 60
    assert 1 <= verlet.builds <= 45


def test_compression_of_a_crystal_brings_in_the_next_shell() -> None:
    # Shell at 3.3 Å, list to 3.2 Å: no atom moves in fractions, yet edges appear.
    structure = Structure(np.zeros((1, 3)), np.eye(3) * 3.3, np.ones(3, dtype=bool), 3.0)
    verlet = VerletList(3.0, skin=0.2)
    counts = []
    for scale in np.linspace(1.0, 0.8, 21):
        squeezed = strained(structure, np.eye(3) * scale)
        agree(verlet, squeezed)
        counts.append(verlet.update(*squeezed.tensors).num_edges)
    assert counts[0] == 0
    assert counts[-1] == 6
    assert 2 <= verlet.builds <= 6


def test_small_motion_is_free_and_large_motion_is_not() -> None:
    structure = gas(200)
    verlet = VerletList(4.0, skin=1.0)
    agree(verlet, structure)
    rng = np.random.default_rng(0)
    step = rng.normal(size=structure.positions.shape)
    step -= step.mean(axis=0)
    step *= 0.49 / np.linalg.norm(step, axis=1).max()
    agree(verlet, moved(structure, step))
    assert verlet.builds == 1
    agree(verlet, moved(structure, step * 2.5))
    assert verlet.builds == 2


def test_one_fast_atom_may_use_the_whole_skin() -> None:
    structure = gas(200)
    verlet = VerletList(4.0, skin=1.0)
    agree(verlet, structure)
    step = np.zeros_like(structure.positions)
    step[7, 2] = 0.98
    agree(verlet, moved(structure, step))
    assert verlet.builds == 1


def test_translation_and_expansion_cost_nothing() -> None:
    structure = gas(100)
    verlet = VerletList(4.0, skin=0.5)
    agree(verlet, structure)
    agree(verlet, moved(structure, [30.0, -20.0, 10.0]))
    agree(verlet, moved(strained(structure, np.eye(3) * 1.3), 5.0))
    assert verlet.builds == 1


def test_wrapping_an_atom_rebuilds() -> None:
    structure = gas(50)
    verlet = VerletList(4.0, skin=1.0)
    agree(verlet, structure)
    jump = np.zeros_like(structure.positions)
    jump[3] = structure.cell[0]
    agree(verlet, moved(structure, jump))
    assert verlet.builds == 2


def test_exchanged_atoms_rebuild() -> None:
    structure = gas(50)
    verlet = VerletList(4.0, skin=1.0)
    agree(verlet, structure)
    agree(verlet, replace(structure, positions=structure.positions[::-1].copy()))
    assert verlet.builds == 2


@pytest.mark.parametrize("change", ["atoms", "pbc"])
def test_another_system_rebuilds(change: str) -> None:
    structure = gas(50)
    verlet = VerletList(4.0, skin=1.0)
    agree(verlet, structure)
    other = {
        "atoms": replace(structure, positions=structure.positions[:-1]),
        "pbc": replace(structure, pbc=np.array([True, False, True])),
    }[change]
    agree(verlet, other)
    assert verlet.builds == 2


def test_open_axes_need_no_cell() -> None:
    structure = replace(gas(50), cell=np.zeros((3, 3)), pbc=np.zeros(3, dtype=bool))
    verlet = VerletList(4.0, skin=1.0)
    agree(verlet, structure)
    agree(verlet, replace(moved(structure, 0.1), cell=np.eye(3) * 80.0))
    slab = replace(structure, cell=np.diag([9.0, 0.0, 9.0]), pbc=np.array([True, False, True]))
    agree(verlet, slab)
    agree(verlet, strained(slab, np.diag([0.99, 1.0, 1.01])))
    assert verlet.builds == 2


def test_without_skin_every_update_builds() -> None:
    structure = gas(50)
    verlet = VerletList(4.0, skin=0.0)
    for _ in range(3):
        agree(verlet, structure)
    assert (verlet.updates, verlet.builds) == (3, 3)


def test_lone_atom_and_bad_step() -> None:
    lone = replace(gas(1), pbc=np.zeros(3, dtype=bool))
    verlet = VerletList(4.0, skin=1.0)
    agree(verlet, lone)
    agree(verlet, moved(lone, 0.3))
    with pytest.raises(ValueError, match="NaN"):
        verlet.update(*moved(lone, np.nan).tensors)
    agree(verlet, lone)


def test_reference_does_not_follow_the_callers_array() -> None:
    x, cell, pbc = gas(100).tensors
    verlet = VerletList(4.0, skin=0.5)
    verlet.update(x, cell, pbc)
    x += torch.randn(x.shape, generator=torch.Generator().manual_seed(0), dtype=x.dtype)
    fresh = neighbor_list(x, cell, pbc, 4.0)
    np.testing.assert_array_equal(rows(verlet.update(x, cell, pbc)), rows(fresh))
    assert verlet.builds == 2


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda v: pickle.loads(pickle.dumps(v))])
def test_copies_go_on_alone(copied: object) -> None:
    structure = gas(50)
    verlet = VerletList(4.0, skin=1.0)
    agree(verlet, structure)
    twin = copied(verlet)
    agree(twin, moved(structure, 0.1 * np.eye(50, 3)))
    assert (twin.builds, twin.updates) == (1, 2)
    assert (verlet.builds, verlet.updates) == (1, 1)


@pytest.mark.parametrize(("cutoff", "skin"), [(0.0, 1.0), (3.0, -0.1), (3.0, float("nan"))])
def test_useless_lengths_are_refused(cutoff: float, skin: float) -> None:
    with pytest.raises(ValueError, match="must be a finite length"):
        VerletList(cutoff, skin)


def test_structures_in_turns_keep_a_list_each() -> None:
    """As the images of a path that share a calculator."""
    images = [random_structure(seed) for seed in range(6)]
    verlet = VerletList(3.0, skin=0.8)
    rng = np.random.default_rng(0)
    for _ in range(5):
        for place, image in enumerate(images):
            images[place] = moved(image, 0.01 * rng.normal(size=image.positions.shape))
            agree(verlet, images[place])
    assert verlet.builds == len(images)


def test_kept_lists_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    images = [gas(30, seed=seed) for seed in range(5)]
    monkeypatch.setattr(verlet_module, "KEPT_LISTS", 3)
    verlet = VerletList(4.0, skin=0.5)
    for image in (*images, *images[1:], images[4]):
        agree(verlet, image)
    assert verlet.builds == 5
    agree(verlet, images[0])  # forgotten
    assert verlet.builds == 6
    # Long lists are not kept beside another one.
    monkeypatch.setattr(verlet_module, "KEPT_EDGES", 0)
    agree(verlet, gas(30, seed=7))
    agree(verlet, images[0])
    assert verlet.builds == 8


def test_all_pairs_of_a_small_molecule_are_kept() -> None:
    rng = np.random.default_rng(1)
    cell, open_ = np.zeros((3, 3)), np.zeros(3, dtype=bool)
    verlet = VerletList(4.0, skin=0.5)
    # From all within the cutoff to none, and back.
    for size in (0.5, 3.0, 60.0, 1.0):
        agree(verlet, Structure(size * rng.normal(size=(9, 3)), cell, open_, 4.0))
    assert verlet.builds == 1
    agree(verlet, Structure(rng.normal(size=(8, 3)), cell, open_, 4.0))
    assert verlet.builds == 2
    far = Structure(np.array([[0.0, 0.0, 0.0]] * 7 + [[1e14, 0.0, 0.0]]), cell, open_, 4.0)
    with pytest.raises(ValueError, match="atom 7 is 1e\\+14 Å away"):
        verlet.update(*far.tensors)


def test_vectors_are_measured_once() -> None:
    structure = gas(60)
    verlet = VerletList(4.0, skin=0.5)
    for shift in (0.0, 0.1):
        positions, cell, pbc = moved(structure, shift).tensors
        edges, vectors = verlet.measure(positions, cell, pbc)
        assert torch.equal(vectors, edges.vectors(positions, cell))


def test_few_atoms_are_measured_as_others_to_the_bit() -> None:
    """All pairs of a molecule, by NumPy, as a search and torch give them, while it moves apart."""
    rng = np.random.default_rng(0)
    place = rng.uniform(0.0, 4.0, (9, 3))
    cell, pbc = torch.zeros(3, 3, dtype=torch.float64), torch.zeros(3, dtype=torch.bool)
    verlet, numbers = VerletList(4.0, 0.5), set()
    for _ in range(30):
        place = 1.02 * place + rng.normal(scale=0.05, size=place.shape)
        positions = torch.from_numpy(place)
        found = verlet.measure(positions, cell, pbc)
        expected = neighbor_list(positions, cell, pbc, 4.0).measured(positions, cell)
        assert torch.equal(found.edges.edge_index, expected.edges.edge_index)
        assert torch.equal(found.edges.shifts, expected.edges.shifts)
        assert torch.equal(found.vectors, expected.vectors)
        numbers.add(found.edges.num_edges)
    assert verlet.builds == 1
    assert len(numbers) > 3
