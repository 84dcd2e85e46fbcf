"""HDF5 files that grow can be read by anyone after each single write."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import h5py
import numpy as np
import pytest

from ase_geomformer.md import hdf5

# Times before positions, by which readers count the frames.
SHAPES = {"time": (), "velocity": (2, 3), "position": (2, 3)}


def declare(path: Path, chunk: int) -> None:
    with h5py.File(path, "w", libver=hdf5.LIBVER) as file:
        for name, shape in SHAPES.items():
            file.create_dataset(
                name, shape=(0, *shape), maxshape=(None, *shape), chunks=(chunk, *shape),
                compression="gzip", dtype="f4",
            )  # fmt: skip


def grow(path: Path, values: dict[str, np.ndarray], start: int, stop: int) -> None:
    with hdf5.open_to_add(path) as file:
        for name in SHAPES:
            dataset = file[name]
            dataset.resize(stop, axis=0)
            dataset[start:] = values[name][start:stop]
            dataset.flush()


@pytest.fixture
def after_each_write(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], None]], None]:
    """Call a function after each write to the file."""

    def attach(check: Callable[[], None]) -> None:
        in_order = hdf5._Collected.in_order

        def checked(collected: hdf5._Collected) -> Iterator[tuple[int, bytes]]:
            for write in in_order(collected):
                yield write
                check()

        monkeypatch.setattr(hdf5._Collected, "in_order", checked)

    return attach


# Chunks of equal numbers keep their size when they are filled, and are written in their place.
@pytest.mark.parametrize("kind", ["random", "equal"])
@pytest.mark.parametrize("chunk", [1, 4])
def test_it_can_be_read_after_each_write(
    kind: str, chunk: int, tmp_path: Path, rng: np.random.Generator, after_each_write: Callable
) -> None:
    path, frames, checks = tmp_path / "file.h5", 150, 0
    values = {
        name: rng.normal(size=(frames, *shape)) if kind == "random" else np.ones((frames, *shape))
        for name, shape in SHAPES.items()
    }
    start = stop = 0

    def check() -> None:
        nonlocal checks
        checks += 1
        with h5py.File(path) as file:
            count = len(file["position"])
            assert start <= count <= stop
            for name, given in values.items():
                np.testing.assert_array_equal(file[name][:count], given[:count].astype("f4"))

    after_each_write(check)
    declare(path, chunk)
    while start < frames:
        stop = min(frames, start + int(rng.integers(1, 12)))
        grow(path, values, start, stop)
        start = stop
    assert checks > 100
    with h5py.File(path, "r+") as file:  # and it can be written to as usual
        assert len(file["position"]) == frames
        file["position"].resize(1, axis=0)


def test_reading_back_what_is_not_written_yet(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(bytes(range(10)))
    with path.open("r+b", buffering=0) as raw:
        collected = hdf5._Collected(raw)
        collected.seek(8)
        assert collected.write(b"abcd") == 4
        collected.seek(4)
        collected.write(b"xy")
        collected.seek(0)
        assert collected.read(100) == bytes([0, 1, 2, 3]) + b"xy" + bytes([6, 7]) + b"abcd"
        assert collected.read(1) == b""
        assert collected.seek(-1, 2) == 11
        assert collected.read(1) == b"d"
        collected.truncate(14)
        collected.seek(11)
        assert collected.read() == b"d\0\0"
        with pytest.raises(OSError, match="not get shorter"):
            collected.truncate(3)
    assert path.read_bytes() == bytes(range(10))
