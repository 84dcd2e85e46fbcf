"""Files with structures that would burst are refused before ASE's readers take them."""

from __future__ import annotations

import gzip
import json
import struct
from pathlib import Path
from typing import Any

import pytest
from ase import Atoms
from ase.io.trajectory import Trajectory

from ase_geomformer.machine.bounded_structures import check_structure_file


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("1000000000000000000\nProperties=species:S:1:pos:R:3\nH 0 0 0\n", "claims 1000000000"),
        ("1\n\nH 0 0 0\n" + "9" * 40 + "\n\nH 0 0 0\n", "claims 9999"),
        ("1\n" + " " * 17_000_000 + "\nH 0 0 0\n", "a line of more than 16 MB"),
    ],
)
def test_structures_that_never_end_are_refused(tmp_path: Path, text: str, fault: str) -> None:
    path = tmp_path / "x.xyz"
    path.write_text(text)
    with pytest.raises(ValueError, match=fault):
        check_structure_file(path)


def test_structures_pass(tmp_path: Path) -> None:
    from ase.build import bulk, molecule
    from ase.io import write

    names = ("x.xyz", "x.extxyz", "x.xyz.gz", "x.traj", "POSCAR", "x.cif", "x.json", "x.db")
    for name in names:
        write(tmp_path / name, [bulk("Si")] * (3 if name.endswith(("z", "j")) else 1))
        check_structure_file(tmp_path / name)
    write(tmp_path / "lone.xyz", molecule("H2O")[:1], format="xyz", fmt="%.0f")
    check_structure_file(tmp_path / "lone.xyz")


def test_what_unfolds_is_refused(tmp_path: Path) -> None:
    with gzip.open(tmp_path / "x.xyz.gz", "wb") as file:
        for _ in range(300):
            file.write(b"\n" * 2**20)
    with pytest.raises(ValueError, match="made to fill the memory"):
        check_structure_file(tmp_path / "x.xyz.gz")


@pytest.fixture
def trajectory(tmp_path: Path, ethanol: Atoms) -> Path:
    with Trajectory(tmp_path / "x.traj", "w") as file:
        for _ in range(3):
            ethanol.info["note"] = float("nan")  # which ASE writes, and JSON does not know
            file.write(ethanol)
    return tmp_path / "x.traj"


def patch(path: Path, place: int, values: tuple[int, ...]) -> None:
    with path.open("r+b") as file:
        file.seek(place)
        file.write(struct.pack(f"<{len(values)}q", *values))


def frame(path: Path, text: bytes) -> None:
    """Make the first frame another text, at the end of the file."""
    (table,) = struct.unpack("<q", path.read_bytes()[40:48])
    patch(path, table, (path.stat().st_size,))
    with path.open("ab") as file:
        file.write(struct.pack("<q", len(text)) + text)


def array(shape: list[Any], dtype: str = "float64", place: Any = 48) -> bytes:
    return json.dumps({"positions.": {"ndarray": [shape, dtype, place]}}).encode()


def test_trajectories_pass(trajectory: Path) -> None:
    check_structure_file(trajectory)
    frame(trajectory, array([2, 3]))
    check_structure_file(trajectory)


@pytest.mark.parametrize(
    ("values", "fault"),
    [((10**17, 48), "claims 1"), ((-1, 48), "claims -1"), ((3, 10**17), "claims 3 frames")],
)
def test_tables_that_are_not_there(trajectory: Path, values: tuple[int, int], fault: str) -> None:
    patch(trajectory, 32, values)
    with pytest.raises(ValueError, match=fault):
        check_structure_file(trajectory)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (array([10**12, 48]), "claims shape"),
        (array([-4, -4]), "claims shape"),
        (array([2, 3], place=10**15), "claims shape"),
        (b"[" * 1000, "levels deep"),
        (b"[1" + b" " * 3 * 2**20 + b"]", "bytes of text"),
    ],
)
def test_frames_that_claim_too_much(trajectory: Path, text: bytes, fault: str) -> None:
    frame(trajectory, text)
    with pytest.raises(ValueError, match=fault):
        check_structure_file(trajectory)


def test_one_frame_many_times(trajectory: Path, tmp_path: Path) -> None:
    """A table that names a frame of 8 MB again and again."""
    with trajectory.open("ab") as file:
        file.truncate(8_000_000)
    frame(trajectory, array([900_000], place=800))
    count, end = 10_000, trajectory.stat().st_size
    (table,) = struct.unpack("<q", trajectory.read_bytes()[40:48])
    (offset,) = struct.unpack("<q", trajectory.read_bytes()[table : table + 8])
    with trajectory.open("ab") as file:
        file.write(struct.pack("<q", offset) * count)
    patch(trajectory, 32, (count, end))
    with pytest.raises(ValueError, match="frames claim 72 GB"):
        check_structure_file(trajectory)
