"""Trajectories that claim what they do not hold are refused in a line, at little cost."""

from __future__ import annotations

import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
from ase import Atoms
from ase.calculators.emt import EMT
from ase.io import write

from ase_geomformer.md import MDSettings, run_md
from ase_geomformer.md.analysis import load_frames

GROUP = "particles/trajectory"
MEMORY_MB, SECONDS = 200, 2.0


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A trajectory in H5MD, to be damaged."""
    folder = tmp_path_factory.mktemp("sound")
    settings = MDSettings(
        ensemble="nve", steps=4, trajectory_interval=1, trajectory_format="h5md", timestep_fs=1.0
    )
    atoms = Atoms("Cu2", [[0, 0, 0], [0, 0, 2.4]], cell=[9, 9, 9], pbc=True)
    run_md(atoms, EMT(), settings, output=folder, progress=False)
    return folder / "trajectory.h5md"


def replaced(name: str, shape: tuple[int, ...], dtype: str = "f4", **options: object) -> Callable:
    """Another dataset in place of one."""

    def change(file: h5py.File) -> None:
        del file[f"{GROUP}/{name}"]
        file[GROUP].create_dataset(name, shape=shape, dtype=dtype, **options)

    return change


def resized(name: str, count: int) -> Callable:
    return lambda file: file[f"{GROUP}/{name}"].resize(count, axis=0)


def linked(name: str, link: object) -> Callable:
    def change(file: h5py.File) -> None:
        del file[f"{GROUP}/{name}"]
        file[f"{GROUP}/{name}"] = link

    return change


def valued(name: str, value: float) -> Callable:
    def change(file: h5py.File) -> None:
        file[f"{GROUP}/{name}"][-1] = value

    return change


def attribute(value: object) -> Callable:
    return lambda file: file[f"{GROUP}/box"].attrs.update(boundary=value)


def emptied(file: h5py.File) -> None:
    del file["particles"]


CHUNK = (100, 10**5, 48)
DAMAGE: dict[str, tuple[Callable, str]] = {
    "far more than there is": (
        replaced("position/value", (100, 10**12, 48), chunks=CHUNK), "of shape",
    ),
    "more atoms than there are": (
        replaced("position/value", (100, 10**12, 3), chunks=(100, 10**5, 3)), "of shape|unfold",
    ),
    "more frames than there are": (
        replaced("position/value", (10**12, 2, 3), chunks=(10**6, 2, 3)), "unfold|of shape",
    ),
    "chunks larger than frames": (
        replaced("velocity/value", (5, 2, 3), maxshape=(None, 2, 3), chunks=(10**8, 2, 3)),
        "unfold",
    ),
    "two dimensions": (replaced("position/value", (5, 3)), "positions are of shape"),
    "fewer times": (resized("position/time", 3), "time is of shape"),
    "fewer velocities": (resized("velocity/value", 3), "velocity/value is of shape"),
    "fewer masses": (replaced("mass", (1,)), "mass is of shape"),
    "text for positions": (replaced("position/value", (5, 2, 3), "S8"), "not numbers"),
    "no positions": (lambda file: file[f"{GROUP}/position"].pop("value"), "not a trajectory"),
    "a group for masses": (
        lambda file: (file[GROUP].pop("mass"), file[GROUP].create_group("mass")),
        "not a dataset",
    ),
    "another file": (linked("mass", h5py.ExternalLink("/dev/zero", "x")), "is a link"),
    "a link to itself": (linked("mass", h5py.SoftLink(f"/{GROUP}/mass")), "is a link"),
    "raw bytes of another file": (
        replaced("mass", (2,), "f8", external=[("/etc/passwd", 0, 16)]), "another file",
    ),
    "a boundary of one": (attribute(["periodic"]), "no boundary"),
    "no numbers": (valued("position/value", np.nan), "frame 4 has positions that are not finite"),
    "no times": (valued("position/time", np.nan), "times of the frames are not finite"),
    "times that go back": (valued("position/time", -1.0), "do not increase"),
    "nothing": (emptied, "not a trajectory"),
}  # fmt: skip


@pytest.mark.parametrize("name", DAMAGE)
def test_damage_is_named(name: str, sound: Path, tmp_path: Path) -> None:
    change, fault = DAMAGE[name]
    path = tmp_path / "x.h5md"
    path.write_bytes(sound.read_bytes())
    with h5py.File(path, "r+") as file:
        change(file)
    with pytest.raises(ValueError, match=f"cannot take frames from .*x.h5md: .*({fault})") as found:
        load_frames(path)
    assert len(str(found.value).splitlines()) == 1


def test_longer_datasets_are_cut(sound: Path, tmp_path: Path) -> None:
    """Positions are the last to be written, and others may be ahead of them."""
    path = tmp_path / "x.h5md"
    path.write_bytes(sound.read_bytes())
    with h5py.File(path, "r+") as file:
        file[f"{GROUP}/position/value"].resize(4, axis=0)
    assert len(load_frames(path)) == 4
    np.testing.assert_array_equal(load_frames(path).velocities, load_frames(sound).velocities[:4])


@pytest.mark.parametrize(
    ("settings", "result"),
    [
        ("[1, 2]", '{"steps": 2}'),
        ("{}", '{"steps": 2}'),
        ("{trajectory_interval: x, timestep_fs: 1}", '{"steps": 2}'),
        ("{trajectory_interval: 0, timestep_fs: 1}", '{"steps": 2}'),
        ("{trajectory_interval: 1, timestep_fs: null}", '{"steps": 2}'),
        ("{trajectory_interval: 1, timestep_fs: 1}", "[" * 10_000),
        ("{trajectory_interval: 1, timestep_fs: 1}", '{"steps": "x"}'),
    ],
)
def test_settings_of_other_types(
    settings: str, result: str, tmp_path: Path, ethanol: Atoms
) -> None:
    """They tell the interval of frames without times."""
    write(tmp_path / "trajectory.traj", [ethanol] * 3)
    (tmp_path / "settings.yaml").write_text(settings)
    (tmp_path / "result.json").write_text(result)
    with pytest.raises(ValueError, match="cannot take frames from"):
        load_frames(tmp_path)


BOMBS = """
import resource, sys, time
import ase.io, h5py
from ase_geomformer.md.analysis import load_frames
for path in sys.argv[1:]:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.process_time()
    try:
        load_frames(path)
    except ValueError as error:
        lines = len(str(error).splitlines())
    more = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    print(lines, time.process_time() - start, more)
"""


def test_bombs_cost_little(sound: Path, tmp_path: Path, ethanol: Atoms) -> None:
    bombs = []
    for index, (change, _) in enumerate(DAMAGE.values()):
        bombs.append(tmp_path / f"{index}.h5md")
        bombs[-1].write_bytes(sound.read_bytes())
        with h5py.File(bombs[-1], "r+") as file:
            change(file)
    with h5py.File(tmp_path / "full.h5md", "w") as file:  # of zeros that are really there
        group = file.create_group(GROUP)
        shape = (200, 50_000, 3)
        group.create_dataset("position/value", data=np.zeros(shape, "f4"), compression="gzip")
    bombs.append(tmp_path / "full.h5md")
    (tmp_path / "x.xyz").write_text("1000000000000000000\n\nH 0 0 0\n")
    write(tmp_path / "x.traj", [ethanol] * 3)
    with (tmp_path / "x.traj").open("r+b") as file:
        file.seek(32)
        file.write(struct.pack("<q", 10**17))
    bombs += [tmp_path / "x.xyz", tmp_path / "x.traj"]
    done = subprocess.run(
        [sys.executable, "-c", BOMBS, *map(str, bombs)], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    found = [list(map(float, line.split())) for line in done.stdout.splitlines()]
    assert len(found) == len(bombs)
    for lines, seconds, memory in found:
        assert lines == 1
        assert seconds < SECONDS
        assert memory < MEMORY_MB
