from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ase_geomformer.machine.cache import ENTRY_FILE, Cache, CacheError, cache_folder

pytestmark = pytest.mark.quick


def write(folder: Path) -> None:
    (folder / "content").write_bytes(b"numbers")


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "cache")


def test_what_is_stored_is_found(cache: Cache) -> None:
    assert cache.find("key") is None
    cache.store("key", {"kind": "tables"}, write)
    found = cache.find("key")
    assert found is not None
    assert (found.folder / "content").read_bytes() == b"numbers"
    assert found.about == {"kind": "tables"}
    assert [entry.key for entry in cache.entries()] == ["key"]
    assert found.size_bytes >= 7


def test_only_the_owner_can_get_in(cache: Cache) -> None:
    before = os.umask(0o000)
    try:
        entry = cache.store("key", {}, write)
    finally:
        os.umask(before)
    assert cache.folder.stat().st_mode & 0o777 == 0o700
    assert entry.folder.stat().st_mode & 0o777 == 0o700
    assert {file.stat().st_mode & 0o777 for file in entry.folder.iterdir()} == {0o600}


@pytest.mark.parametrize("content", [b"numberz", b"numb", b""])
def test_a_file_that_was_altered_is_refused_and_removed(cache: Cache, content: bytes) -> None:
    entry = cache.store("key", {}, write)
    (entry.folder / "content").write_bytes(content)
    with pytest.warns(UserWarning, match="content has changed since it was stored"):
        assert cache.find("key") is None
    assert cache.find("key") is None
    assert not entry.folder.exists()


def test_a_missing_file_is_refused(cache: Cache) -> None:
    entry = cache.store("key", {}, write)
    (entry.folder / "content").unlink()
    with pytest.warns(UserWarning, match="content is missing"):
        assert cache.find("key") is None


@pytest.mark.parametrize("text", ["", "{", "[]", '{"files": 3, "about": {}}', "{}"])
def test_a_damaged_entry_is_refused(cache: Cache, text: str) -> None:
    entry = cache.store("key", {}, write)
    (entry.folder / ENTRY_FILE).write_text(text)
    with pytest.warns(UserWarning, match=f"{ENTRY_FILE} cannot be read"):
        assert cache.find("key") is None


def test_files_outside_the_entry_are_refused(cache: Cache, tmp_path: Path) -> None:
    entry = cache.store("key", {}, write)
    (tmp_path / "other").write_bytes(b"numbers")
    content = json.loads((entry.folder / ENTRY_FILE).read_text())
    content["files"] = {"../../other": content["files"]["content"]}
    (entry.folder / ENTRY_FILE).write_text(json.dumps(content))
    with pytest.warns(UserWarning, match="missing"):
        assert cache.find("key") is None


def test_links_are_refused(cache: Cache, tmp_path: Path) -> None:
    entry = cache.store("key", {}, write)
    (tmp_path / "other").write_bytes(b"numbers")
    (entry.folder / "content").unlink()
    (entry.folder / "content").symlink_to(tmp_path / "other")
    with pytest.raises(CacheError, match="symbolic link"):
        cache.find("key")
    linked = Cache(tmp_path / "linked")
    linked.folder.symlink_to(cache.folder)
    with pytest.raises(CacheError, match="symbolic link"):
        linked.find("key")


@pytest.mark.parametrize("part", ["", "key", "key/content"])
def test_what_others_can_write_to_is_refused(cache: Cache, part: str) -> None:
    cache.store("key", {}, write)
    place = cache.folder / part
    place.chmod(place.stat().st_mode | 0o020)
    with pytest.raises(CacheError, match="can be written to by others"):
        cache.find("key")


@pytest.mark.parametrize("part", ["", "key", "key/content"])
def test_what_belongs_to_another_user_is_refused(
    cache: Cache, part: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache.store("key", {}, write)
    place = cache.folder / part
    owned = Path.lstat

    def lstat(path: Path) -> os.stat_result:
        status = list(owned(path))
        if path == place:
            status[4] += 1
        return os.stat_result(status)

    monkeypatch.setattr(Path, "lstat", lstat)
    with pytest.raises(CacheError, match="belongs to user"):
        cache.find("key")


def test_what_was_used_longest_ago_makes_room(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "cache", limit_bytes=1000)

    def large(folder: Path) -> None:
        (folder / "content").write_bytes(bytes(300))

    for index, key in enumerate(("first", "second")):
        entry = cache.store(key, {}, large)
        os.utime(entry.folder, (index, index))
    assert cache.find("first") is not None  # used now
    cache.store("third", {}, large)
    assert {entry.key for entry in cache.entries()} == {"first", "third"}


def test_a_failure_leaves_nothing_behind(cache: Cache) -> None:
    def fail(folder: Path) -> None:
        write(folder)
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        cache.store("key", {}, fail)
    assert list(cache.folder.iterdir()) == []


def test_a_place_that_cannot_be_written_to(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    cache = Cache(tmp_path / "file" / "cache")
    assert cache.find("key") is None
    assert cache.entries() == []
    with pytest.raises(OSError):  # noqa: PT011 - of the system
        cache.store("key", {}, write)


def test_one_process_at_a_time_may_make_something(cache: Cache) -> None:
    code = (
        "import sys; from pathlib import Path\n"
        "from ase_geomformer.machine.cache import Cache\n"
        "with Cache(Path(sys.argv[1])).locked('key') as mine: print(mine)"
    )
    command = [sys.executable, "-c", code, str(cache.folder)]

    def other() -> str:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    with cache.locked("key") as mine:
        assert mine
        assert other() == "False"
    assert other() == "True"


def test_clearing_frees_everything(cache: Cache) -> None:
    assert cache.clear() == 0
    cache.store("key", {}, write)
    assert cache.clear() > 7
    assert cache.entries() == []


def test_the_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ASE_GEOMFORMER_CACHE", "~/mine")
    monkeypatch.setenv("HOME", "/home/someone")
    assert cache_folder() == Path("/home/someone/mine")
    monkeypatch.delenv("ASE_GEOMFORMER_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "ase-geomformer"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")  # to be ignored, as its specification says
    assert cache_folder() == Path("/home/someone/.cache/ase-geomformer")
