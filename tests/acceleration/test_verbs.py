"""``models compile``, ``cache``, and the verbs that compile before a long run."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import ase.io
import pytest
from ase import Atoms

from ase_geomformer.checkpoint.folder import Card, save_potential
from ase_geomformer.cli import main
from ase_geomformer.machine.cache import Cache
from ase_geomformer.potential import Potential


@pytest.fixture
def stored(small: Potential, tmp_path: Path) -> str:
    """A potential in a folder."""
    save_potential(small, tmp_path / "random", Card("random"))
    return str(tmp_path / "random")


def test_compile_list_and_clear(
    stored: str, cache: Cache, builds: list, capsys: pytest.CaptureFixture
) -> None:
    assert main(["models", "compile", stored]) == 0
    captured = capsys.readouterr()
    assert "random: compiled " in captured.out.replace(stored, "random")
    assert "compiling random for this machine" in captured.err
    assert main(["models", "compile", stored, "--json"]) == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out)[stored]["compiled"] is True
    assert captured.err == ""
    assert len(builds) == 1
    assert main(["cache"]) == 0
    shown = capsys.readouterr().out
    assert "compiled code" in shown
    assert "float64" in shown
    assert main(["cache", "list", "--json"]) == 0
    (entry,) = json.loads(capsys.readouterr().out)["entries"]
    assert entry["potential"] == "random"
    assert main(["cache", "clear"]) == 0
    assert "MB removed" in capsys.readouterr().out
    assert cache.entries() == []


def test_failure_has_an_exit_code(
    stored: str, cache: Cache, builds: list, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ase_geomformer.acceleration import build

    def fail(*_: object) -> None:
        raise RuntimeError("lost in code")

    monkeypatch.setattr(build, "build", fail)
    with pytest.warns(UserWarning, match="lost in code"):
        assert main(["models", "compile", stored]) == 1


def test_wrong_requests(cache: Cache, capsys: pytest.CaptureFixture) -> None:
    assert main(["models", "compile"]) == 2
    assert "takes the NAMEs" in capsys.readouterr().err
    assert main(["models", "compile", "no such potential"]) == 2
    assert main(["models", "list", "--dtype", "float32"]) == 2
    assert main(["cache", "burn"]) == 2


@pytest.mark.parametrize("verb", ["md", "replicas"])
@pytest.mark.parametrize(
    ("steps", "flags", "compiled"),
    [
        (100, [], False),
        (10**7, [], True),
        (10**7, ["--compile", "false"], False),
        (10**7, ["--resume"], True),
    ],
)
def test_long_runs_are_compiled_first(
    verb: str,
    steps: int,
    flags: list[str],
    compiled: bool,
    stored: str,
    ethanol: Atoms,
    cache: Cache,
    builds: list,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def run(_: Any, calculator: Any, *__: Any, **___: Any) -> object:
        seen.append((calculator.evaluation_of(ethanol).split()[0], len(builds)))
        return SimpleNamespace(problem=None, entries=list)

    seen: list[tuple[str, int]] = []
    name = "md.run_md" if verb == "md" else "md.replicas.run_replicas"
    monkeypatch.setattr(f"ase_geomformer.{name}", run)
    ase.io.write(tmp_path / "ethanol.xyz", ethanol)
    files = ["--potential", stored, "--structure", str(tmp_path / "ethanol.xyz")]
    more = ["--output", str(tmp_path / "out"), "--steps", str(steps)]
    if verb == "replicas":
        more += ["--temperatures_K", "[200, 300]"]
    assert main([verb, *files, *more, *flags]) == 0
    assert seen == [("compiled", 1) if compiled else ("plain", 0)]
