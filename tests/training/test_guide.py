"""docs/training.md: what it shows can be typed in."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from ase_geomformer.cli import main
from ase_geomformer.commands import VERBS
from ase_geomformer.training.settings_file import from_yaml, to_yaml


@pytest.fixture(scope="module")
def guide(root: Path) -> str:
    return (root / "docs" / "training.md").read_text(encoding="utf-8")


def blocks(text: str, language: str) -> list[str]:
    fenced = re.findall(r"^```(\w*)\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    return [body for name, body in fenced if name == language]


def test_files_are_valid(guide: str, tmp_path: Path) -> None:
    files = blocks(guide, "yaml")
    assert len(files) == 3
    for text in files:
        path = tmp_path / "train.yaml"
        path.write_text(text)
        settings = from_yaml(path)
        path.write_text(to_yaml(settings))
        assert from_yaml(path) == settings


def test_wrong_files_are_told_by_name(tmp_path: Path) -> None:
    path = tmp_path / "train.yaml"
    path.write_text("name: a\ndata: {path: b.xyz}\nrun: {stepps: 3}\n")
    with pytest.raises(ValueError, match=r"train.yaml: .*stepps"):
        from_yaml(path)


def test_options_exist(guide: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Those of commands and those that the text mentions."""
    assert main(["train", "--help"]) == 0
    known = set(re.findall(r"--[\w.]+", capsys.readouterr().out)) | {"--help"}
    mentioned = set(re.findall(r"(?<!`)--run\.\w+|--optimizer\.\w+", guide))
    names = set(re.findall(r"`((?:run|model|optimizer|batches)\.\w+)`", guide))
    assert mentioned
    assert names
    assert mentioned | {f"--{name}" for name in names} <= known
    joined = (block.replace("\\\n", " ") for block in blocks(guide, ""))
    commands = [line for block in joined for line in block.splitlines()]
    verbs = {shlex.split(line)[1] for line in commands if line.startswith("ase-geomformer")}
    assert {"train", "finetune", "evaluate", "models", "data", "md"} == verbs
    assert verbs <= set(VERBS)


def test_scripts_compile(guide: str) -> None:
    for text in blocks(guide, "python"):
        compile(text, "training.md", "exec")
