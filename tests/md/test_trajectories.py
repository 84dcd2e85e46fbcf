"""Trajectory files: what is in them, who can read them, and how they go on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import h5py
import MDAnalysis
import numpy as np
import pytest
from ase import Atoms, units
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.io import read

from ase_geomformer.md import MDSettings, run_md

SETTINGS = MDSettings(
    ensemble="npt-berendsen", timestep_fs=2.0, steps=24, trajectory_interval=3,
    checkpoint_interval=8,
)  # fmt: skip
FRAMES = 9
SUFFIXES = ("traj", "h5md", "extxyz")


@pytest.fixture
def copper() -> Atoms:
    """A cell without right angles."""
    return bulk("Cu") * (2, 2, 1)


def run(folder: Path, atoms: Atoms | None, suffix: str, **options: object) -> list[Atoms]:
    """The frames of the exact format for a run in some format."""
    settings = replace(SETTINGS, trajectory_format=suffix)
    run_md(atoms, EMT(), settings, output=folder, progress=False, **options)
    assert [file.name for file in folder.glob("trajectory.*")] == [f"trajectory.{suffix}"]
    exact = folder.with_name(f"{folder.name}-exact")
    run_md(atoms, EMT(), SETTINGS, output=exact, progress=False)
    return read(exact / "trajectory.traj", index=":")


def test_mdanalysis_reads_h5md(copper: Atoms, tmp_path: Path) -> None:
    frames = run(tmp_path / "run", copper, "h5md")
    universe = MDAnalysis.Universe.empty(len(copper), trajectory=True)
    universe.load_new(str(tmp_path / "run" / "trajectory.h5md"))
    assert len(universe.trajectory) == len(frames) == FRAMES
    for found, frame in zip(universe.trajectory, frames, strict=True):
        assert found.time == pytest.approx(0.006 * found.frame)
        np.testing.assert_allclose(found.positions, frame.positions, atol=1e-6)
        velocities = frame.get_velocities() * units.fs * 1000.0  # Å/ps
        np.testing.assert_allclose(found.velocities, velocities, rtol=1e-5, atol=1e-6)
        forces = frame.get_forces() / (units.kJ / units.mol)
        np.testing.assert_allclose(found.forces, forces, rtol=1e-5, atol=1e-4)
        np.testing.assert_allclose(found.dimensions, frame.cell.cellpar(), rtol=1e-5)


def test_h5md_of_a_molecule(ethanol: Atoms, tmp_path: Path) -> None:
    settings = replace(SETTINGS, ensemble="nve", trajectory_format="h5md")
    run_md(ethanol, EMT(), settings, output=tmp_path, progress=False)
    universe = MDAnalysis.Universe.empty(len(ethanol), trajectory=True)
    universe.load_new(str(tmp_path / "trajectory.h5md"))
    assert universe.trajectory.ts.dimensions is None
    assert len(universe.trajectory) == FRAMES
    with h5py.File(tmp_path / "trajectory.h5md") as file:
        group = file["particles/trajectory"]
        np.testing.assert_array_equal(group["species"], ethanol.numbers)
        np.testing.assert_allclose(group["mass"], ethanol.get_masses())
        np.testing.assert_array_equal(group["force/step"], np.arange(0, 25, 3))
        assert group["position/value"].compression == "gzip"
        assert file["h5md"].attrs["version"].tolist() == [1, 1]


def test_extxyz(copper: Atoms, tmp_path: Path) -> None:
    frames = run(tmp_path / "run", copper, "extxyz")
    found = read(tmp_path / "run" / "trajectory.extxyz", index=":")
    assert len(found) == FRAMES
    for one, other in zip(found, frames, strict=True):
        np.testing.assert_allclose(one.positions, other.positions, atol=1e-7)
        np.testing.assert_allclose(one.get_momenta(), other.get_momenta(), atol=1e-7)
        assert one.get_potential_energy() == pytest.approx(other.get_potential_energy())


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("half", [8, 13])
def test_files_go_on(suffix: str, half: int, copper: Atoms, tmp_path: Path) -> None:
    """Also those that got further than the last restart file."""
    settings = replace(SETTINGS, ensemble="npt-mtk", trajectory_format=suffix)

    class Killed(EMT):
        name = "emt"  # which trajectories record
        calls = 0

        def calculate(self, *arguments: object) -> None:
            super().calculate(*arguments)
            self.calls += 1
            if self.calls == 2 * half:
                raise SystemExit

    run_md(copper, EMT(), settings, output=tmp_path / "whole", progress=False)
    halves = {"output": tmp_path / "halves", "progress": False}
    with pytest.raises(SystemExit):
        run_md(copper, Killed(), settings, **halves)
    run_md(None, EMT(), resume=True, **halves)
    if suffix != "h5md":
        files = [tmp_path / name / f"trajectory.{suffix}" for name in ("whole", "halves")]
        assert files[0].read_bytes() == files[1].read_bytes()
        return
    with (
        h5py.File(tmp_path / "whole" / "trajectory.h5md") as whole,
        h5py.File(tmp_path / "halves" / "trajectory.h5md") as halved,
    ):
        names: list[str] = []
        whole.visititems(lambda name, item: names.append(name) if hasattr(item, "shape") else None)
        assert len(names) >= 8
        for name in names:
            np.testing.assert_array_equal(whole[name][...], halved[name][...])


KILLED_WHILE_WRITING = """
import os, signal, sys
from ase.build import bulk
from ase.calculators.emt import EMT
import h5py
from ase_geomformer.md import MDSettings, run_md
resize = h5py.Dataset.resize
def killed(self, size, axis=None):
    resize(self, size, axis)
    if size > 4 and self.name.endswith("velocity/value"):
        self.file.flush()
        os.kill(os.getpid(), signal.SIGKILL)
h5py.Dataset.resize = killed
settings = MDSettings(ensemble="npt-berendsen", timestep_fs=2.0, steps=24, trajectory_interval=3,
                      checkpoint_interval=8, trajectory_format="h5md")
run_md(bulk("Cu") * (2, 2, 1), EMT(), settings, output=sys.argv[1], progress=False)
"""


def test_h5md_survives_a_kill_amid_writing(copper: Atoms, tmp_path: Path) -> None:
    killed = tmp_path / "killed"
    command = [sys.executable, "-c", KILLED_WHILE_WRITING, str(killed)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    assert subprocess.run(command, check=False, env=environment).returncode == -signal.SIGKILL
    with h5py.File(killed / "trajectory.h5md") as file:
        assert len(file["particles/trajectory/position/value"][...]) >= 3
    run_md(None, EMT(), output=killed, resume=True, progress=False)
    settings = replace(SETTINGS, trajectory_format="h5md")
    run_md(copper, EMT(), settings, output=tmp_path / "whole", progress=False)
    values = []
    for folder in (killed, tmp_path / "whole"):
        with h5py.File(folder / "trajectory.h5md") as file:
            values.append(file["particles/trajectory/velocity/value"][...])
    np.testing.assert_array_equal(*values)
