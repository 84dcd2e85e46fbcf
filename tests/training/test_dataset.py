from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from ase import Atoms
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.data import DataLoader

from ase_geomformer.data.frames import Frame
from ase_geomformer.graph.atom_graph import AtomGraph
from ase_geomformer.training import edges as edges_module
from ase_geomformer.training.batch import LabelledGraph
from ase_geomformer.training.dataset import GraphDataset, collate
from ase_geomformer.training.edges import edge_table
from ase_geomformer.training.sampler import BatchSampler, frame_costs

CUTOFF = 4.0


@pytest.fixture
def frames(ethanol: Atoms, silicon: Atoms, rng: np.random.Generator) -> list[Frame]:
    """A crystal with all labels, molecules with some, an atom without edges, and a charged one."""
    ion = Atoms("OH", [[0, 0, 0], [0, 0, 1.0]], info={"charge": -1, "spin": 3})
    stress = rng.normal(size=(3, 3))
    return [
        Frame(silicon, energy=-40.0, forces=rng.normal(size=(8, 3)), stress=stress + stress.T),
        Frame(ethanol, forces=rng.normal(size=(9, 3))),
        Frame(Atoms("O"), energy=-2041.123456789),
        Frame(ion, energy=-7.0, forces=rng.normal(size=(2, 3))),
    ]


@pytest.fixture
def searches(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """One entry for every neighbour list that is built."""
    done: list[float] = []
    search = edges_module.neighbor_list

    def counted(positions, cell, pbc, cutoff, **options):  # type: ignore[no-untyped-def]
        done.append(cutoff)
        return search(positions, cell, pbc, cutoff, **options)

    monkeypatch.setattr(edges_module, "neighbor_list", counted)
    return done


def assert_same(one: LabelledGraph, other: LabelledGraph) -> None:
    for a, b in zip(one.tensors, other.tensors, strict=True):
        assert a.dtype == b.dtype
        assert torch.equal(a, b)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("far_cutoff", [0.0, 6.0])
@pytest.mark.parametrize("order", [[0], [2], [3, 0, 2, 1], [1, 1, 2]])
def test_batch_is_the_graph_of_its_atoms(
    order: list[int], far_cutoff: float, dtype: torch.dtype, frames: list[Frame]
) -> None:
    batch = GraphDataset(frames, CUTOFF, far_cutoff=far_cutoff, dtype=dtype).batch(order)
    atoms = [frames[i].atoms for i in order]
    graph = AtomGraph.from_atoms(atoms, CUTOFF, far_cutoff=far_cutoff, dtype=dtype)
    for found, expected in zip(batch.graph.tensors, graph.tensors, strict=True):
        assert found.dtype == expected.dtype
        assert torch.equal(found, expected)


def test_labels_and_what_is_missing(frames: list[Frame]) -> None:
    batch = GraphDataset(frames, CUTOFF).batch([2, 0, 1, 3])
    assert batch.energy.dtype == torch.float64
    assert batch.energy.tolist() == [-2041.123456789, -40.0, 0.0, -7.0]
    assert batch.has_energy.tolist() == [True, True, False, True]
    assert batch.has_forces.tolist() == [False, True, True, True]
    assert batch.has_stress.tolist() == [False, True, False, False]
    expected = [np.zeros((1, 3)), *(frames[i].forces for i in (0, 1, 3))]
    np.testing.assert_array_equal(batch.forces, np.concatenate(expected).astype("f4"))  # type: ignore[arg-type]
    np.testing.assert_array_equal(batch.stress[1], frames[0].stress.astype("f4"))  # type: ignore[union-attr]
    assert all(torch.isfinite(tensor).all() for tensor in batch.tensors)


def test_collate_joins_what_batch_gathers(frames: list[Frame]) -> None:
    dataset = GraphDataset(frames, CUTOFF)
    assert_same(collate([dataset[3], dataset[0], dataset[2]]), dataset.batch([3, 0, 2]))
    assert_same(dataset[-1], dataset[3])
    with pytest.raises(IndexError):
        dataset[4]


@pytest.mark.parametrize("workers", [0, 1])
def test_loader_gives_the_batches_of_the_sampler(workers: int, frames: list[Frame]) -> None:
    dataset = GraphDataset(frames, CUTOFF)
    sampler = BatchSampler(frame_costs(dataset), 2, seed=5)
    expected = sampler.batches(0)
    loader = DataLoader(dataset, batch_sampler=sampler, collate_fn=collate, num_workers=workers)
    found = list(loader)
    assert len(found) == 2
    for batch, indices in zip(found, expected, strict=True):
        assert_same(batch, dataset.batch(indices))


def test_sizes_and_mean_neighbors(frames: list[Frame]) -> None:
    dataset = GraphDataset(frames, CUTOFF)
    assert dataset.num_atoms.tolist() == [8, 9, 1, 2]
    counts = [AtomGraph.from_atoms(frame.atoms, CUTOFF).num_edges for frame in frames]
    assert dataset.num_edges.tolist() == counts
    assert counts[2] == 0
    assert dataset.mean_neighbors == pytest.approx(sum(counts) / 20)
    assert frame_costs(dataset, "frames") == [1] * 4
    assert frame_costs(dataset, "atoms") == [8, 9, 1, 2]
    assert frame_costs(dataset, "edges") == counts


def test_far_from_the_origin_no_digit_is_lost(ethanol: Atoms) -> None:
    near = GraphDataset([Frame(ethanol)], CUTOFF).batch([0])
    moved = ethanol.copy()
    moved.positions += 4096.0
    far = GraphDataset([Frame(moved)], CUTOFF).batch([0])
    torch.testing.assert_close(far.graph.edge_vectors, near.graph.edge_vectors, rtol=0, atol=3e-7)


def test_no_frames() -> None:
    with pytest.raises(ValueError, match="no frames given"):
        GraphDataset([], CUTOFF)


class Operations(TorchDispatchMode):
    """Counts the operations of torch while it is entered."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(
        self, function: Any, types: Any, arguments: Any = (), options: Any = None
    ) -> Any:
        self.count += 1
        return function(*arguments, **(options or {}))


def test_a_batch_is_not_joined_frame_by_frame(ethanol: Atoms) -> None:
    frames = [Frame(ethanol, forces=np.zeros((9, 3))) for _ in range(40)]
    dataset = GraphDataset(frames, CUTOFF)
    counts = []
    for size in (2, 10, 40):
        with Operations() as operations:
            dataset.batch(range(size))
        counts.append(operations.count)
    assert counts[0] > 0
    assert len(set(counts)) == 1


# The cache


def test_lists_are_built_once(frames: list[Frame], searches: list[float], tmp_path: Path) -> None:
    cache = tmp_path / "run" / "cache"
    first = GraphDataset(frames, CUTOFF, cache=cache)
    assert searches == [CUTOFF] * 4
    again = GraphDataset(frames, CUTOFF, cache=cache, dtype=torch.float64)
    assert searches == [CUTOFF] * 4
    assert [path.suffix for path in cache.iterdir()] == [".safetensors"]
    assert torch.equal(first.batch([3, 0]).graph.edge_index, again.batch([3, 0]).graph.edge_index)


def moved(frames: list[Frame]) -> list[Frame]:
    atoms = frames[0].atoms.copy()
    atoms.positions[0] += 1e-6
    return [Frame(atoms), *frames[1:]]


@pytest.mark.parametrize(
    "change",
    [
        lambda frames: (moved(frames), CUTOFF),
        lambda frames: (frames, CUTOFF + 0.1),
        lambda frames: (frames[1:], CUTOFF),
        lambda frames: (frames[::-1], CUTOFF),
    ],
    ids=["positions", "cutoff", "selection", "order"],
)
def test_a_stale_list_is_not_taken(
    change: Callable[[list[Frame]], tuple[list[Frame], float]],
    frames: list[Frame],
    searches: list[float],
    tmp_path: Path,
) -> None:
    edge_table(frames, CUTOFF, cache=tmp_path)
    searches.clear()
    others, cutoff = change(frames)
    edge_table(others, cutoff, cache=tmp_path)
    assert len(searches) == len(others)


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: b"",
        lambda content: content[: len(content) // 2],
        lambda content: content[:-4] + bytes([content[-4] ^ 1]) + content[-3:],
        lambda content: b"junk" * 1000,
    ],
    ids=["empty", "truncated", "one bit", "junk"],
)
def test_a_damaged_list_is_built_anew(
    damage: Callable[[bytes], bytes],
    frames: list[Frame],
    searches: list[float],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    table = edge_table(frames, CUTOFF, cache=tmp_path)
    (path,) = tmp_path.iterdir()
    sound = path.read_bytes()
    path.write_bytes(damage(sound))
    searches.clear()
    rebuilt = edge_table(frames, CUTOFF, cache=tmp_path)
    assert len(searches) == 4
    assert "damaged" in caplog.text
    assert rebuilt.sha256() == table.sha256()
    assert path.read_bytes() == sound
    assert list(tmp_path.iterdir()) == [path]


def test_progress_is_shown_only_when_asked(
    frames: list[Frame], capsys: pytest.CaptureFixture[str]
) -> None:
    edge_table(frames, CUTOFF)
    assert capsys.readouterr().out == ""
    edge_table(frames, CUTOFF, progress=True)
    assert "neighbour lists" in capsys.readouterr().out
