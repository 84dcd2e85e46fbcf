from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase import Atoms

from ase_geomformer.data.frames import Frame
from ase_geomformer.data.splits import Split, SplitSettings, check_stored, split_frames

pytestmark = pytest.mark.quick


def dimers(count: int) -> list[Frame]:
    return [Frame(Atoms("H2", [[0, 0, 0], [0, 0, 0.7 + 0.01 * i]])) for i in range(count)]


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ({}, (90, 10, 0)),
        ({"train": 50, "validation": 30}, (50, 30, 0)),
        ({"train": 0.5, "validation": 0.29, "test": 0.1}, (50, 29, 10)),
        ({"train": 1, "validation": 0}, (1, 0, 0)),
        ({"validation": 0.001, "test": 99 - 1}, (1, 1, 98)),
    ],
)
def test_sizes(sizes: dict[str, Any], expected: tuple[int, int, int]) -> None:
    split = split_frames(dimers(100), SplitSettings(**sizes))
    parts = (split.train, split.validation, split.test)
    assert tuple(map(len, parts)) == expected
    together = [index for part in parts for index in part]
    assert len(set(together)) == sum(expected)
    assert set(together) <= set(range(100))


def test_the_seed_decides_and_the_global_generator_does_not() -> None:
    frames = dimers(40)
    np.random.seed(1)  # noqa: NPY002
    state = np.random.get_state()[1].copy()  # noqa: NPY002
    first = split_frames(frames, SplitSettings(seed=3))
    assert (np.random.get_state()[1] == state).all()  # noqa: NPY002
    np.random.seed(2)  # noqa: NPY002
    assert split_frames(frames, SplitSettings(seed=3)) == first
    assert split_frames(frames, SplitSettings(seed=4)).train != first.train
    assert list(first.train) != sorted(first.train)


def test_smaller_training_sets_are_nested_and_judged_by_the_same_frames() -> None:
    frames = dimers(60)
    splits = [split_frames(frames, SplitSettings(n, 10, 10)) for n in (5, 20, 40)]
    assert set(splits[0].train) < set(splits[1].train) < set(splits[2].train)
    assert len({split.validation for split in splits}) == 1
    assert len({split.test for split in splits}) == 1


def test_isolated_atoms_always_train() -> None:
    frames = [*dimers(10), Frame(Atoms("H")), Frame(Atoms("O"))]
    for seed in range(20):
        split = split_frames(frames, SplitSettings(4, 3, 3, seed=seed))
        assert {10, 11} <= set(split.train)
        assert len(split.train) == 4
    with pytest.raises(ValueError, match="2 of 12 frames are isolated atoms, which must be in"):
        split_frames(frames, SplitSettings(1))


@pytest.mark.parametrize(
    "sizes",
    [
        {"train": 90, "validation": 20},
        {"train": 101, "validation": 0},
        {"validation": 60, "test": 40},
        {"train": 0},
        {"train": 0.9, "validation": 0.2},
    ],
)
def test_too_large_or_empty(sizes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="cannot split 100 frames into"):
        split_frames(dimers(100), SplitSettings(**sizes))


@pytest.mark.parametrize(
    "settings", [{"train": -1}, {"validation": 1.0}, {"test": 1.5}, {"train": float("nan")}]
)
def test_sizes_that_mean_nothing(settings: dict[str, Any]) -> None:
    (name,) = settings
    with pytest.raises(
        ValueError, match=f"{name} = .* must be (a count|a finite|zero or positive)"
    ):
        SplitSettings(**settings)


def test_stored_split_is_read_back(tmp_path: Path) -> None:
    frames = dimers(30)
    split = split_frames(frames, SplitSettings(10, 5, 5, seed=7))
    path = tmp_path / "split.json"
    split.save(path)
    assert Split.load(path) == split
    assert split_frames(frames, SplitSettings(index_file=str(path))) == split
    assert [entry.name for entry in tmp_path.iterdir()] == ["split.json"]
    assert split.take(frames)["test"] == [frames[index] for index in split.test]


def test_index_file_by_hand(tmp_path: Path) -> None:
    path = tmp_path / "mine.json"
    path.write_text('{"train": [4, 2], "test": [0]}')
    split = split_frames(dimers(5), SplitSettings(index_file=str(path)))
    assert (split.train, split.validation, split.test) == ((4, 2), (), (0,))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"train": [0, 1], "validation": [1]}, "frame 1 occurs twice"),
        ({"train": [0, 0]}, "frame 0 occurs twice"),
        ({"train": [0, 5]}, "index 5 is not one of the 5 frames"),
        ({"train": [-1]}, "index -1 is not one"),
        ({"validation": [1]}, "no frame is left for training"),
        ({"train": [0], "frames": 6}, "made for 6 other frames, not for these 5"),
        ({"train": [0], "sha256": "0" * 64}, "other frames"),
        ({"train": ["a"]}, "no JSON object with lists"),
        ([1, 2], "no JSON object with lists"),
    ],
)
def test_index_file_that_does_not_fit(content: Any, message: str, tmp_path: Path) -> None:
    path = tmp_path / "split.json"
    path.write_text(json.dumps(content))
    with pytest.raises(ValueError, match=message):
        split_frames(dimers(5), SplitSettings(index_file=str(path)))


def test_index_file_missing_or_cut(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no split file"):
        split_frames(dimers(5), SplitSettings(index_file=str(tmp_path / "none.json")))
    (tmp_path / "cut.json").write_text('{"train": [1, 2')
    with pytest.raises(ValueError, match=r"cut\.json: no JSON object"):
        Split.load(tmp_path / "cut.json")


def test_a_moved_atom_makes_other_frames() -> None:
    frames = dimers(5)
    split = split_frames(frames, SplitSettings(validation=1))
    assert split.sha256 is not None
    check_stored(split, 5, split.sha256, "split.json")
    frames[2].atoms.positions[0, 0] += 0.01
    with pytest.raises(ValueError, match="other frames"):
        check_stored(split, 5, split_frames(frames, SplitSettings()).sha256 or "", "split.json")
