"""Processes of the command line: Ctrl-C twice, and two trainings in one folder."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.io import write

TRAIN = """
name: twice
data: {path: data.extxyz}
split: {train: 6, validation: 2}
model:
  architecture: so3krates
  settings: {cutoff: 3.0, num_features: 16, num_layers: 1, num_heads: 2, degrees: [1],
             num_radial_basis: 8, energy_width: 8, avg_num_neighbors: 12.0}
batches: {size: 2}
run: {steps: 1000000, validate_every: 5, progress: false, accelerator: cpu}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    frames = []
    for seed in range(8):
        atoms = bulk("Cu", cubic=True)
        atoms.rattle(0.1, seed=seed)
        atoms.calc = EMT()
        atoms.get_forces()
        frames.append(atoms)
    write(tmp_path / "data.extxyz", frames)
    cell = bulk("Cu", cubic=True) * (4, 4, 4)
    cell.rattle(0.1, seed=0)
    write(tmp_path / "cell.extxyz", cell)
    (tmp_path / "train.yaml").write_text(TRAIN)
    return tmp_path


def listen() -> None:
    """Where tests run in the background of a script, programs would be deaf to Ctrl-C."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def started(words: list[str], folder: Path) -> subprocess.Popen[str]:
    script = [sys.executable, "-m", "ase_geomformer", *words]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.Popen(
        script, cwd=folder, env=environment, stderr=subprocess.PIPE, stdout=subprocess.PIPE,
        text=True, preexec_fn=listen,
    )  # fmt: skip


def wait_until(holds: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    end = time.monotonic() + 120.0
    while not holds():
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < end, "nothing is written"
        time.sleep(0.05)


def is_longer(path: Path, size: int) -> bool:
    return path.exists() and path.stat().st_size > size


MD = [
    "md", "--calculator", "emt", "--structure", "cell.extxyz", "--steps", "1000000",
    "--log_interval", "1", "--checkpoint_interval", "50", "--progress", "false",
]  # fmt: skip
RUNS = {
    "md": (MD, "log.csv"),
    "relax": (
        ["relax", "--calculator", "emt", "--structure", "cell.extxyz",
         "--fmax", "1e-12", "--optimizer", "fire", "--steps", "100000", "--progress", "false"],
        "trajectory.traj",
    ),
    "train": (["train", "train.yaml"], "logs/metrics.csv"),
}  # fmt: skip


@pytest.mark.parametrize("verb", RUNS)
def test_ctrl_c_twice(verb: str, folder: Path) -> None:
    words, log = RUNS[verb]
    words = [*words, "--output", "out"]
    path, grown = folder / "out" / log, 0
    for pause_s, resume in ((0.15, []), (0.0, ["--resume"])):
        process = started([*words, *resume], folder)
        wait_until(partial(is_longer, path, grown), process)
        process.send_signal(signal.SIGINT)
        time.sleep(pause_s)
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
        _, told = process.communicate(timeout=120)
        # Minus the signal, where it came while the interpreter ended.
        assert process.returncode in (1, 2, 130, -signal.SIGINT), told
        assert "Traceback" not in told
        assert told.strip()
        grown = path.stat().st_size


def test_a_second_training_in_a_folder_is_refused(folder: Path) -> None:
    words, log = RUNS["train"]
    words = [*words, "--output", "out"]
    first = started(words, folder)
    try:
        wait_until(partial(is_longer, folder / "out" / log, 0), first)
        second = started([*words, "--resume"], folder)
        _, told = second.communicate(timeout=120)
        assert second.returncode == 2
        assert f"out is in use by process {first.pid} on " in told
        assert first.poll() is None
    finally:
        first.kill()
        first.communicate()
