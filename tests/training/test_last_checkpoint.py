"""Checkpoints that others made or changed: one line, nothing of them runs, at little cost."""

from __future__ import annotations

import io
import pickle
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from ase_geomformer.training import run as run_module
from ase_geomformer.training.last_checkpoint import check_checkpoint
from ase_geomformer.training.run import train
from ase_geomformer.training.settings import TrainSettings
from ase_geomformer.training.trainer import LAST_CHECKPOINT


class Payload:
    """Calls a function when it is unpickled."""

    def __init__(self, function: Callable[..., object], *arguments: object) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> tuple[Any, ...]:
        return self.call


@pytest.fixture(scope="module")
def trained(
    settings: Callable[..., TrainSettings], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A run with a checkpoint."""
    folder = tmp_path_factory.mktemp("trained") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run_module, "finish", lambda *_: None)
        train(settings(checkpoint_minutes=1e-6), folder)
    return folder


@pytest.fixture
def checkpoint(trained: Path, tmp_path: Path) -> Path:
    shutil.copytree(trained, tmp_path / "run")
    return tmp_path / "run" / LAST_CHECKPOINT


def refusal(path: Path) -> str:
    with pytest.raises(ValueError, match="not a checkpoint of a training") as raised:
        check_checkpoint(path)
    assert "\n" not in str(raised.value)
    assert str(path) in str(raised.value)
    return str(raised.value)


def repacked(path: Path, change: Callable[[dict[str, bytes]], object], how: int = 0) -> None:
    """Change the entries of an archive, by their names without the root."""
    with zipfile.ZipFile(path) as old:
        entries = {name.split("/", 1)[1]: old.read(name) for name in old.namelist()}
    change(entries)
    with zipfile.ZipFile(path, "w", how) as new:
        for name, data in entries.items():
            new.writestr(f"archive/{name}", data)


def test_a_checkpoint_passes(checkpoint: Path) -> None:
    check_checkpoint(checkpoint)


def test_planted_code_does_not_run(
    checkpoint: Path, settings: Callable[..., TrainSettings], tmp_path: Path
) -> None:
    content = torch.load(checkpoint, weights_only=True)
    content["hyper_parameters"] = Payload(Path.touch, tmp_path / "ran")
    torch.save(content, checkpoint)
    refusal(checkpoint)
    with pytest.raises(ValueError, match="not a checkpoint of a training"):
        train(settings(checkpoint_minutes=1e-6), tmp_path / "run", resume=True)
    assert not (tmp_path / "ran").exists()


def test_plain_pickles_are_refused(checkpoint: Path, tmp_path: Path) -> None:
    checkpoint.write_bytes(pickle.dumps({"a": Payload(Path.touch, tmp_path / "ran")}))
    refusal(checkpoint)
    assert not (tmp_path / "ran").exists()


def test_what_unfolds_is_refused(checkpoint: Path) -> None:
    large = {"data/99999": bytes(2**28)}
    repacked(checkpoint, lambda entries: entries.update(large), zipfile.ZIP_DEFLATED)
    assert "that unfold to" in refusal(checkpoint)


def test_programs_that_take_memory_are_refused(checkpoint: Path) -> None:
    program = b"\x80\x02]r" + (2**28).to_bytes(4, "little") + b"."
    repacked(checkpoint, lambda entries: entries.update({"data.pkl": program}))
    assert "remembers something as number" in refusal(checkpoint)
    program = b"\x80\x02" + b"]" * 20_000 + b"a" * 19_999 + b"."
    repacked(checkpoint, lambda entries: entries.update({"data.pkl": program}))
    refusal(checkpoint)


def test_shared_mappings_are_visited_once(checkpoint: Path) -> None:
    content = torch.load(checkpoint, weights_only=True)
    shared: dict[str, Any] = {}
    for _ in range(40):  # 2^40 paths
        shared = {"a": shared, "b": shared}
    content["hyper_parameters"] = shared
    torch.save(content, checkpoint)
    check_checkpoint(checkpoint)


def test_tensors_that_claim_more_than_they_have(checkpoint: Path) -> None:
    content = torch.load(checkpoint, weights_only=True)
    content["state_dict"]["x"] = torch.zeros(1).expand(10**12)
    torch.save(content, checkpoint)
    assert "claims 4e+12 bytes" in refusal(checkpoint)


@pytest.mark.parametrize("length", [0, 10, 1000])
def test_cut_files_and_pipes(length: int, checkpoint: Path) -> None:
    checkpoint.write_bytes(checkpoint.read_bytes()[:length])
    refusal(checkpoint)


WRONG = [None, -1, 1.5, "text", [1], {"a": 1}, float("nan"), 10**30]


@pytest.mark.parametrize("value", WRONG, ids=str)
def test_entries_of_other_types_are_refused(
    value: Any, checkpoint: Path, settings: Callable[..., TrainSettings], tmp_path: Path
) -> None:
    """By the check itself, or by the training before its first step."""
    sound = torch.load(checkpoint, weights_only=True)

    def resumed() -> None:
        check_checkpoint(checkpoint)
        # What it leaves to Lightning, which has the model.
        train(settings(checkpoint_minutes=1e-6), tmp_path / "run", resume=True)

    for name in ("state_dict", "optimizer_states", "callbacks", "loops", "global_step", "epoch"):
        stream = io.BytesIO()
        torch.save({**sound, name: value}, stream)
        checkpoint.write_bytes(stream.getvalue())
        with pytest.raises(ValueError, match=r"last\.ckpt") as raised:
            resumed()
        assert "\n" not in str(raised.value), name
