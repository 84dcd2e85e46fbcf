"""One writer for each run folder."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from ase.build import bulk
from ase.calculators.emt import EMT

from ase_geomformer.recipes import RelaxSettings, relax
from ase_geomformer.runs.folder import RunFolder
from ase_geomformer.runs.lock import LOCK_FILE, FolderInUseError, hold, release

pytestmark = pytest.mark.quick

HOLD = """
import sys, time
from pathlib import Path
from ase_geomformer.runs.lock import hold
hold(Path(sys.argv[1]))
print("held", flush=True)
time.sleep(600)
"""


@pytest.fixture
def holder(tmp_path: Path) -> subprocess.Popen[str]:
    """Another process that holds the folder."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


@pytest.mark.parametrize("keyword", ["resume", "overwrite"])
def test_a_second_writer_is_told_who_is_there(
    tmp_path: Path, holder: subprocess.Popen[str], keyword: str
) -> None:
    try:
        with pytest.raises(
            FolderInUseError, match=rf"in use by process {holder.pid} on .*since 20"
        ):
            RunFolder(tmp_path, **{keyword: True})
        copper = bulk("Cu", cubic=True)
        with pytest.raises(OSError, match="is in use by process"):
            relax(copper, EMT(), output=tmp_path, progress=False, **{keyword: True})
        assert [file.name for file in tmp_path.iterdir()] == [LOCK_FILE]
    finally:
        holder.kill()
        holder.wait()


def test_death_releases(tmp_path: Path, holder: subprocess.Popen[str]) -> None:
    os.kill(holder.pid, signal.SIGKILL)
    holder.wait()
    folder = RunFolder(tmp_path)  # what the dead left is not taken for results
    folder.start({})
    release(tmp_path)
    assert not (tmp_path / LOCK_FILE).exists()


def test_a_run_that_has_ended_leaves_no_lock(tmp_path: Path) -> None:
    copper = bulk("Cu", cubic=True)
    copper.rattle(0.05)
    for keywords in ({}, {"resume": True}, {"overwrite": True}):
        settings = RelaxSettings(fmax=0.05)
        relax(copper, EMT(), settings, output=tmp_path / "run", progress=False, **keywords)
        assert not (tmp_path / "run" / LOCK_FILE).exists()


def test_two_at_once_are_one(tmp_path: Path) -> None:
    """Of many processes that start together, one writes."""
    race = """
import sys, time
from pathlib import Path
from ase_geomformer.runs.lock import FolderInUseError, hold
while time.time() < float(sys.argv[2]):
    pass
try:
    hold(Path(sys.argv[1]))
    time.sleep(3)
except FolderInUseError:
    sys.exit(3)
"""
    start = time.time() + 4.0
    racers = [
        subprocess.Popen([sys.executable, "-c", race, str(tmp_path), str(start)]) for _ in range(4)
    ]
    assert sorted(racer.wait() for racer in racers).count(3) >= len(racers) - 1


def test_the_same_process_may_come_back(tmp_path: Path) -> None:
    hold(tmp_path)
    hold(tmp_path)
    release(tmp_path)
    release(tmp_path)


def test_a_file_system_without_locks_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr("filelock.FileLock.acquire", refuse)
    with pytest.warns(UserWarning, match="without locks .*Function not implemented"):
        hold(tmp_path)
