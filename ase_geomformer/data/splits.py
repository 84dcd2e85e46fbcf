"""Split of labelled frames into training, validation and test set."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from ase_geomformer.data.frames import Frame, geometry_checksum
from ase_geomformer.machine.bounded import parse_json, read_regular_file
from ase_geomformer.machine.files import write_text
from ase_geomformer.settings.checks import check_settings, require
from ase_geomformer.settings.plain import check_plain
from ase_geomformer.settings.ranges import ranged
from ase_geomformer.settings.shown import Shown

# A million frames take 8 MB.
SPLIT_BYTES = 2**26


@dataclass(frozen=True)
class SplitSettings(Shown):
    """Split of the data; a whole number is a count, a number below 1 a fraction.

    Attributes
    ----------
    train
        Size of the training set; by default, all frames that are in neither of the other sets.
    validation
        Size of the validation set.
    test
        Size of the test set.
    seed
        Random seed of the split. For one seed, validation and test set do not depend on ``train``,
        and a smaller training set is part of a larger one.
    index_file
        JSON file with the lists ``train``, ``validation`` and ``test`` of frame indices, such as an
        earlier run has written; the settings above are then ignored.
    """

    train: int | float | None = ranged(None, 0, 10**9)
    validation: int | float = ranged(0.1, 0, 10**9)
    test: int | float = ranged(0, 0, 10**9)
    seed: int = ranged(0, 0, 2**63 - 1)
    index_file: str | None = None

    def __post_init__(self) -> None:
        check_settings(self)
        for name in ("train", "validation", "test"):
            size = getattr(self, name)
            met = size is None or isinstance(size, int) or size < 1
            require(self, met, name, "a count (0, 1, 2 ...) or a fraction below 1")


@dataclass(frozen=True)
class Split:
    """Indices of the frames of each part.

    Attributes
    ----------
    train, validation, test : tuple of int
        In the order drawn.
    frames, sha256
        How many frames were divided and the checksum of their geometries, None where unknown.
    """

    train: tuple[int, ...]
    validation: tuple[int, ...] = ()
    test: tuple[int, ...] = ()
    frames: int | None = None
    sha256: str | None = None

    def take(self, frames: Sequence[Frame]) -> dict[str, list[Frame]]:
        """The frames of each part by name."""
        return {
            "train": [frames[index] for index in self.train],
            "validation": [frames[index] for index in self.validation],
            "test": [frames[index] for index in self.test],
        }

    def save(self, path: Path) -> None:
        """Write as JSON, atomically."""
        write_text(path, json.dumps(asdict(self)) + "\n")

    @classmethod
    def load(cls, path: Path | str) -> Split:
        """Read what :meth:`save` has written, or a JSON object with at least ``train``."""
        path = Path(path)
        if not path.is_file():
            raise FileNotFoundError(f"no split file {path}")
        try:
            stored = parse_json(read_regular_file(path, SPLIT_BYTES))
            check_plain(stored, cls, "")
            parts = {name: tuple(stored.get(name, ())) for name in ("train", "validation", "test")}
        except ValueError as error:
            raise ValueError(
                f"{path}: no JSON object with lists of indices train, validation, test ({error})"
            ) from error
        return cls(**parts, frames=stored.get("frames"), sha256=stored.get("sha256"))


def split_frames(frames: Sequence[Frame], settings: SplitSettings) -> Split:
    """Split frames according to the settings.

    Frames of isolated atoms, which fix the reference energies, always train and count as such.

    Raises
    ------
    ValueError
        If more frames are asked for than there are, none would train, or the index file
        belongs to other frames, overlaps or points beyond the end.
    """
    total, sha256 = len(frames), geometry_checksum(frames)
    if settings.index_file is not None:
        split = Split.load(settings.index_file)
        check_stored(split, total, sha256, settings.index_file)
        return split
    sizes = {name: count(getattr(settings, name), total) for name in ("validation", "test")}
    aside = sum(sizes.values())
    sizes["train"] = total - aside if settings.train is None else count(settings.train, total)
    if aside + sizes["train"] > total or sizes["train"] < 1:
        raise ValueError(
            f"cannot split {total} frames into {sizes['train']} for training, "
            f"{sizes['validation']} for validation and {sizes['test']} for testing"
        )
    isolated = [index for index, frame in enumerate(frames) if frame.is_isolated_atom]
    others = np.setdiff1d(np.arange(total), isolated)
    shuffled = np.random.default_rng(settings.seed).permutation(others).tolist()
    order = isolated + shuffled
    if len(isolated) > sizes["train"]:
        raise ValueError(
            f"{len(isolated)} of {total} frames are isolated atoms, which must be in the "
            f"training set, but train is {sizes['train']}"
        )
    first_aside = total - aside
    first_test = total - sizes["test"]
    return Split(
        train=tuple(order[: sizes["train"]]),
        validation=tuple(order[first_aside:first_test]),
        test=tuple(order[first_test:]),
        frames=total,
        sha256=sha256,
    )


def count(size: int | float, total: int) -> int:
    """A size as a number of frames; a fraction above zero is at least one frame."""
    if isinstance(size, int):
        return size
    rounding = 1e-9  # 0.29 * 100 is a hair below 29
    return max(1, int(size * total + rounding)) if size > 0 else 0


def check_stored(split: Split, total: int, sha256: str, name: str) -> None:
    """Refuse a stored split of other frames."""
    if split.frames not in (None, total) or split.sha256 not in (None, sha256):
        raise ValueError(
            f"{name} was made for {split.frames} other frames, not for these {total}. "
            "Give the same data and selection, or make a new split"
        )
    indices = [*split.train, *split.validation, *split.test]
    outside = [index for index in indices if not 0 <= index < total]
    if outside:
        raise ValueError(f"{name}: index {outside[0]} is not one of the {total} frames")
    if len(set(indices)) < len(indices):
        twice = next(index for index in indices if indices.count(index) > 1)
        raise ValueError(f"{name}: frame {twice} occurs twice; the sets must not overlap")
    if not split.train:
        raise ValueError(f"{name}: no frame is left for training")
