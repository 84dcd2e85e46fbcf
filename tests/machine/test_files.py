"""Folders are replaced as a whole, whenever the process that does so is killed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ase_geomformer.machine.files import atomic_folder, recover_folder

# Replaces a folder and dies at the n-th call that touches the disk.
KILLED = """
import os, shutil, sys, time
from pathlib import Path
from ase_geomformer.machine.files import atomic_folder

place, limit = Path(sys.argv[1]), int(sys.argv[2])
calls = 0

def dying(function):
    def wrapper(*arguments, **keywords):
        global calls
        if calls == limit:
            os._exit(9)
        calls += 1
        return function(*arguments, **keywords)
    return wrapper

for name in ("rename", "replace", "mkdir", "unlink", "rmdir", "chmod"):
    setattr(os, name, dying(getattr(os, name)))
shutil.copy2 = dying(shutil.copy2)
with atomic_folder(place, replaces=("a", "b")) as new:
    (new / "a").write_text("new a")
    (new / "b").write_text("new b")
"""


def content(folder: Path) -> dict[str, str]:
    return {file.name: file.read_text() for file in folder.iterdir()}


def test_a_kill_at_any_moment_leaves_one_whole_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ase_geomformer.machine.files._UNDER_WAY_S", 0.0)
    old = {"a": "old a", "b": "old b", "thesis.txt": "three years"}
    new = {"a": "new a", "b": "new b", "thesis.txt": "three years"}
    seen = []
    for limit in range(40):
        place = tmp_path / str(limit) / "potential"
        place.mkdir(parents=True)
        for name, text in old.items():
            (place / name).write_text(text)
        done = subprocess.run([sys.executable, "-c", KILLED, str(place), str(limit)])
        recover_folder(place)
        assert content(place) in (old, new)
        seen.append(content(place) == new)
        # What a killed process left does not disturb the next one.
        with atomic_folder(place, replaces=("a", "b")) as again:
            (again / "a").write_text("newer")
        assert content(place) == {**content(place), "a": "newer", "thesis.txt": "three years"}
        if done.returncode == 0:
            break
    else:
        pytest.fail("the process never got to its end")
    assert seen == sorted(seen)  # old until it is new
    assert not seen[0]
    assert seen[-1]


def test_recovery_leaves_a_replacement_under_way_alone(tmp_path: Path) -> None:
    (tmp_path / ".it-123.partial-old").mkdir()
    (tmp_path / ".it-123.partial").mkdir()
    recover_folder(tmp_path / "it")
    assert sorted(os.listdir(tmp_path)) == [".it-123.partial", ".it-123.partial-old"]


def test_a_failure_brings_the_old_folder_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "it").mkdir()
    (tmp_path / "it" / "a").write_text("old")
    moves = []
    replace = Path.replace

    def failing(self: Path, target: Path) -> Path:
        moves.append(target)
        if len(moves) == 2:
            raise OSError("no space left")
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", failing)
    with pytest.raises(OSError, match="no space left"), atomic_folder(tmp_path / "it") as new:
        (new / "a").write_text("new")
    assert content(tmp_path / "it") == {"a": "old"}
    assert os.listdir(tmp_path) == ["it"]
