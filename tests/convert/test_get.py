"""Potentials that are published elsewhere: what is got, from where, and what is refused.

SO3LR's checkpoint comes from the reference data, or from the wheel that $SO3KRATES_TORCH_WHEEL
names; nothing here needs the network.
"""

from __future__ import annotations

import hashlib
import io
import os
import pickle
import subprocess
import sys
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file

from ase_geomformer import PotentialCalculator, list_potentials, load_potential
from ase_geomformer.checkpoint.folder import CARD_FILE, WEIGHTS_FILE, verify
from ase_geomformer.checkpoint.obtainable import OBTAINABLE, Obtainable
from ase_geomformer.cli import main
from ase_geomformer.convert import get, so3lr
from ase_geomformer.convert.get import get_potential
from ase_geomformer.machine.places import DATA_VARIABLE, user_folder

SO3LR = OBTAINABLE["so3lr"]


@pytest.fixture(scope="module")
def fixture(shared: Path) -> Path:
    return shared / "fixtures" / "so3krates" / "so3lr"


@pytest.fixture
def source(fixture: Path, tmp_path: Path) -> Path:
    """A checkpoint on this machine: safetensors and their configuration."""
    folder = tmp_path / "source"
    folder.mkdir()
    for name in ("weights_torch.safetensors", "hyperparameters.json"):
        (folder / name).write_bytes((fixture / name).read_bytes())
    return folder / "weights_torch.safetensors"


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(DATA_VARIABLE, str(tmp_path / "data"))
    return tmp_path / "data"


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """No package is installed, and downloading one is a failure."""

    def download(*_: object) -> Path:
        raise AssertionError("something is downloaded")

    monkeypatch.setattr(get, "_installed", lambda row: None)
    monkeypatch.setattr(get, "_download", download)


@pytest.fixture(scope="module")
def wheel() -> Path:
    path = Path(os.environ.get("SO3KRATES_TORCH_WHEEL", ""))
    if not path.is_file():
        pytest.skip("$SO3KRATES_TORCH_WHEEL names no wheel of so3krates-torch")
    return path


def left_over(place: Path) -> list[str]:
    return sorted(entry.name for entry in place.iterdir())


@pytest.mark.usefixtures("no_network")
def test_before_and_after(
    source: Path, place: Path, capsys: pytest.CaptureFixture, ethanol: Any
) -> None:
    with pytest.raises(FileNotFoundError, match=r"ase-geomformer models get so3lr$"):
        PotentialCalculator("so3lr")
    assert main(["models", "get", "so3lr", "--from", str(source)]) == 0
    said = capsys.readouterr()
    assert f"so3lr is in {place / 'so3lr'}" in said.out
    assert said.err.startswith("Converting ")
    assert list_potentials()["so3lr"] == place / "so3lr"
    assert left_over(place) == ["so3lr"]
    assert left_over(place / "so3lr") == [CARD_FILE, WEIGHTS_FILE]
    potential = load_potential("so3lr")
    assert max(verify(potential).values()) < 1e-9
    expected = so3lr(source).state_dict()
    assert all(torch.equal(found, expected[n]) for n, found in potential.state_dict().items())
    ethanol.calc = PotentialCalculator("so3lr", device="cpu")
    assert np.isfinite(ethanol.get_forces()).all()

    before = (place / "so3lr" / CARD_FILE).stat()
    assert main(["models", "get", "so3lr"]) == 0
    assert "there already, undamaged" in capsys.readouterr().out
    assert (place / "so3lr" / CARD_FILE).stat() == before


@pytest.mark.usefixtures("no_network")
def test_what_is_damaged_is_made_anew(source: Path, place: Path) -> None:
    told: list[str] = []
    get_potential(SO3LR, place, source)
    (place / "so3lr" / WEIGHTS_FILE).write_bytes(b"nothing")
    got = get_potential(SO3LR, place, source, tell=told.append)
    assert got.origin == str(source)
    assert "is damaged" in told[0]
    assert max(verify(load_potential(got.folder)).values()) < 1e-9
    assert left_over(place) == ["so3lr"]
    assert get_potential(SO3LR, place, source, overwrite=True).origin == str(source)


@pytest.mark.usefixtures("no_network")
@pytest.mark.parametrize("there", [False, True])
def test_several_at_once_do_no_harm(source: Path, place: Path, there: bool) -> None:
    if there:
        get_potential(SO3LR, place, source)
    with ThreadPoolExecutor(3) as pool:
        runs = [pool.submit(get_potential, SO3LR, place, source, overwrite=there) for _ in range(3)]
    assert {run.result().folder for run in runs} == {place / "so3lr"}
    assert left_over(place) == ["so3lr"]
    assert max(verify(load_potential(place / "so3lr")).values()) < 1e-9


@pytest.mark.usefixtures("no_network")
def test_other_numbers_are_not_so3lr(source: Path, place: Path) -> None:
    weights = load_file(source)
    name = "euclidean_transformers.1.mlp_1.3.weight"
    weights[name] = weights[name].copy()
    weights[name][0, 0] += 1e-3
    save_file(weights, source)
    with pytest.raises(ValueError, match="is not so3lr as it is published: .* is off by"):
        get_potential(SO3LR, place, source)
    assert left_over(place) == []


def test_requests_that_make_no_sense(place: Path, capsys: pytest.CaptureFixture) -> None:
    for arguments, message in (
        (["get"], "models get takes one of the names so3lr, and none is given"),
        (["get", "mace"], "takes one of the names so3lr, not mace"),
        (["get", "so3lr", "--from", "nowhere.whl"], "there is no checkpoint 'nowhere.whl'"),
        (["list", "--overwrite"], "--from and --overwrite are for models get, not for list"),
    ):
        assert main(["models", *arguments]) == 2
        assert message in capsys.readouterr().err
    assert main(["models", "list"]) == 0
    assert "ase-geomformer models get so3lr" in capsys.readouterr().out


def test_a_name_that_is_nearly_right(place: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"Did you mean 'so3lr'\? .* models get so3lr"):
        load_potential("SO3LR")


@pytest.mark.parametrize(
    ("platform", "environment", "expected"),
    [
        ("linux", {}, "home/.local/share/ase-geomformer"),
        ("linux", {"XDG_DATA_HOME": "xdg"}, "xdg/ase-geomformer"),
        ("darwin", {}, "home/Library/Application Support/ase-geomformer"),
        ("darwin", {"XDG_DATA_HOME": "xdg"}, "xdg/ase-geomformer"),
        ("win32", {"LOCALAPPDATA": "local"}, "local/ase-geomformer"),
        ("linux", {"XDG_DATA_HOME": "xdg", DATA_VARIABLE: "mine"}, "mine"),
    ],
)
def test_the_users_folder(
    platform: str, environment: dict[str, str], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in (DATA_VARIABLE, "XDG_DATA_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {"HOME": "home", **environment}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "platform", platform)
    assert user_folder() == Path(expected)


# --- the wheel ----------------------------------------------------------------------------------


def false_wheel(path: Path, checkpoint: bytes, row: Obtainable) -> Obtainable:
    """A wheel with a checkpoint of ours, and a row that takes it for the right one."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(row.file, checkpoint)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return replace(row, wheel_sha256=digest, file_sha256=hashlib.sha256(checkpoint).hexdigest())


def pip(monkeypatch: pytest.MonkeyPatch, wheel: Path | None, stderr: str = "") -> list[list[str]]:
    """Stand in for pip: it gives a wheel, or fails; the commands it was called with."""
    commands: list[list[str]] = []

    def run(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        commands.append(command)
        if wheel is not None:
            folder = Path(command[command.index("--dest") + 1])
            (folder / "so3krates_torch-0.2.1-py3-none-any.whl").write_bytes(wheel.read_bytes())
        return subprocess.CompletedProcess(command, 0 if wheel else 1, "", stderr)

    monkeypatch.setattr(get, "_installed", lambda row: None)
    monkeypatch.setattr(get.subprocess, "run", run)
    return commands


def test_nothing_is_installed_and_hashes_are_required(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, place: Path
) -> None:
    row = false_wheel(tmp_path / "a.whl", b"no archive", SO3LR)
    commands = pip(monkeypatch, tmp_path / "a.whl")
    with pytest.raises(ValueError, match="is not a pickle of arrays"):
        get_potential(row, place)
    (command,) = commands
    assert command[1:4] == ["-m", "pip", "download"]
    assert {"--no-deps", "--only-binary", "--require-hashes"} <= set(command)
    assert left_over(place) == []


@pytest.mark.parametrize("wrong", ["wheel_sha256", "file_sha256"])
def test_both_checksums_count(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, place: Path, wrong: str
) -> None:
    row = replace(false_wheel(tmp_path / "a.whl", b"anything", SO3LR), **{wrong: "0" * 64})
    pip(monkeypatch, tmp_path / "a.whl")
    with pytest.raises(ValueError, match="and 000000000000… is right: it was altered"):
        get_potential(row, place)
    assert left_over(place) == []


@pytest.mark.parametrize(
    ("stderr", "reason"),
    [
        ("WARNING: Retrying (Retry(total=0))\nERROR: No matching", "index cannot be reached"),
        ("ERROR: first\nERROR: No matching distribution found", "No matching distribution found"),
        ("", "gives no reason"),
    ],
)
def test_without_network(
    monkeypatch: pytest.MonkeyPatch, place: Path, stderr: str, reason: str
) -> None:
    pip(monkeypatch, None, stderr)
    with pytest.raises(ConnectionError, match=rf"{reason}\. Fetch the wheel .* --from FILE"):
        get_potential(SO3LR, place)
    monkeypatch.setattr(get.util, "find_spec", lambda name: None)
    with pytest.raises(ConnectionError, match="pip, which downloads .* is not installed"):
        get_potential(SO3LR, place)


class Planted:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return Path.touch, (self.path,)


def test_planted_code_in_a_wheel_does_not_run(
    tmp_path: Path, place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    module = torch.nn.Linear(2, 2)
    module.extra = Planted(tmp_path / "ran")
    file = io.BytesIO()
    torch.save(module, file)
    row = false_wheel(tmp_path / "bad.whl", file.getvalue(), SO3LR)
    pip(monkeypatch, tmp_path / "bad.whl")
    with pytest.raises(ValueError, match="is refused: it asks for .* nothing of it was run"):
        get_potential(row, place)
    for path in (tmp_path / "bad.whl", tmp_path / "bad.pkl"):
        if path.suffix == ".pkl":
            path.write_bytes(pickle.dumps({"params": Planted(tmp_path / "ran")}))
        arguments = ["convert", "so3lr", str(path), "--output", str(tmp_path / "output")]
        assert main(arguments) == 2
        assert "nothing of it was run" in capsys.readouterr().err
    assert not (tmp_path / "ran").exists()
    assert not (tmp_path / "output").exists()


def test_other_modules_and_zip_files_are_told(tmp_path: Path) -> None:
    torch.save(torch.nn.Linear(2, 2), tmp_path / "linear.model")
    with pytest.raises(
        ValueError, match=r"holds a torch\.nn\.modules\.linear\.Linear, where a so3k"
    ):
        so3lr(tmp_path / "linear.model")
    with zipfile.ZipFile(tmp_path / "other.whl", "w") as archive:
        archive.writestr("mace/__init__.py", "")
    with pytest.raises(ValueError, match=r"without so3krates_torch/.* first 'mace/__init__.py'"):
        so3lr(tmp_path / "other.whl")
    content = (tmp_path / "other.whl").read_bytes()
    (tmp_path / "half.whl").write_bytes(content[: len(content) // 2])
    with pytest.raises(ValueError, match=r"half\.whl is a zip file whose end is missing"):
        so3lr(tmp_path / "half.whl")
    with zipfile.ZipFile(tmp_path / "bomb.whl", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(SO3LR.file, bytes(2**27))
    with pytest.raises(ValueError, match=r"so3lr\.model has 134 MB"):
        so3lr(tmp_path / "bomb.whl")


def test_folders_say_what_they_hold(tmp_path: Path, source: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(FileNotFoundError, match="which holds nothing; SO3LR is params.pkl with"):
        so3lr(empty)
    (empty / "notes.txt").touch()
    with pytest.raises(FileNotFoundError, match="which holds notes.txt; SO3LR is"):
        so3lr(empty)
    assert so3lr(source.parent).symbols == so3lr(source).symbols
    (source.parent / "second.safetensors").touch()
    with pytest.raises(
        ValueError, match="holds second.safetensors, weights_torch.safetensors: give"
    ):
        so3lr(source.parent)
    source.with_name("hyperparameters.json").unlink()
    with pytest.raises(FileNotFoundError, match="there is weights_torch.safetensors but no"):
        so3lr(source)


def test_the_published_wheel(
    wheel: Path, source: Path, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All of it but the network: the checkpoint of the wheel is the reference's to the bit."""
    commands = pip(monkeypatch, wheel)
    got = get_potential(SO3LR, place)
    assert got.origin == "so3krates-torch 0.2.1"
    assert len(commands) == 1
    expected = so3lr(source).state_dict()
    found = load_potential(got.folder).state_dict()
    assert all(torch.equal(tensor, expected[name]) for name, tensor in found.items())
    assert "so3krates_torch" not in sys.modules


def test_an_installed_package_is_found(
    wheel: Path, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    got = get_potential(SO3LR, place)
    assert got.origin == str(tmp_path / "site" / SO3LR.file)
    assert "so3krates_torch" not in sys.modules
    assert so3lr(tmp_path / "site").symbols == so3lr(wheel).symbols
