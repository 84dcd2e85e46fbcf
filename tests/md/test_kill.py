"""Processes killed at random moments lose nothing but time."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from ase.io import read

from ase_geomformer.md import restart

# Every other step is written or saved, so that a random moment is often one of writing.
RUN = """
import sys
from ase.build import bulk
from ase.calculators.lj import LennardJones
from ase_geomformer.md import MDSettings, run_md
settings = MDSettings(
    ensemble="nvt-langevin", temperature_K=30.0, timestep_fs=5.0, steps=800, log_interval=1,
    trajectory_interval=1, checkpoint_interval=4, trajectory_format=sys.argv[2],
)
calculator = LennardJones(sigma=3.4, epsilon=0.0104, rc=6.0, smooth=True)
atoms = bulk("Ar", "fcc", a=5.3, cubic=True)
run_md(atoms, calculator, settings, output=sys.argv[1], resume=True, progress=False)
"""
KILLS = 3


def start(folder: Path, trajectory_format: str) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, "-c", RUN, str(folder), trajectory_format], env=environment
    )


def finish(folder: Path, trajectory_format: str) -> None:
    assert start(folder, trajectory_format).wait(timeout=120) == 0


def step_reached(folder: Path) -> int:
    return restart.load(folder / "restart.npz").facts["step"]


def check_files(folder: Path) -> None:
    """Everything that a killed process left can be read."""
    step = step_reached(folder)
    with (folder / "log.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert step <= int(rows[-1]["step"]) <= step + 4
    assert step + 1 <= len(read(folder / "trajectory.traj", index=":")) <= step + 5


def test_a_killed_run_ends_as_if_it_had_lived(tmp_path: Path) -> None:
    rng = np.random.default_rng()
    killed, whole = tmp_path / "killed", tmp_path / "whole"
    reached = 0
    for _ in range(KILLS):
        process = start(killed, "traj")
        deadline = time.monotonic() + 60.0
        # Only a process that has got further than the last one is killed.
        while not (killed / "restart.npz").exists() or step_reached(killed) <= reached:
            assert process.poll() is None, "the run ended before it could be killed"
            assert time.monotonic() < deadline
            time.sleep(0.02)
        time.sleep(rng.uniform(0.0, 0.2))
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
        check_files(killed)
        reached = step_reached(killed)
    finish(killed, "traj")
    finish(whole, "traj")
    assert 0 < reached < 800
    assert not list(killed.glob(".*"))
    frames = [read(folder / "trajectory.traj", index=":") for folder in (killed, whole)]
    assert len(frames[0]) == len(frames[1]) == 801
    for one, other in zip(*frames, strict=True):
        np.testing.assert_array_equal(one.positions, other.positions)
        np.testing.assert_array_equal(one.get_momenta(), other.get_momenta())
    logs = [(folder / "log.csv").read_text().splitlines() for folder in (killed, whole)]
    rows = [[line.rpartition(",")[0] for line in log] for log in logs]  # without steps/s
    assert rows[0] == rows[1]
    assert len(rows[0]) == 802
