"""The examples of recipes run as a user would run them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path


def run_example(root: Path, run_python: Callable, folder: Path, name: str, *more: str) -> str:
    """What an example says; all that it writes is in its folder of output."""
    script = str(root / "md_examples" / f"{name}.py")
    done = run_python(script, "--output", str(folder / "output"), *more, cwd=folder)
    assert [file.name for file in folder.iterdir()] == ["output"]
    return str(done.stdout)


def test_ethanol_vibrations(root: Path, run_python: Callable, tmp_path: Path) -> None:
    said = run_example(root, run_python, tmp_path, "ethanol_vibrations")
    frequencies = [float(text) for text in re.findall(r"mode +\d+ +(\S+) cm", said)]
    assert len(frequencies) == 21
    assert frequencies == sorted(frequencies)
    assert 3500.0 < frequencies[-1] < 3900.0
    assert re.search(r"entropy 2\.[78]\d+ meV/K", said)
    assert (tmp_path / "output" / "modes" / "mode_021.extxyz").exists()


def test_ethanol_neb(root: Path, run_python: Callable, tmp_path: Path) -> None:
    said = run_example(root, run_python, tmp_path, "ethanol_neb", "--images", "5")
    assert "transition state: True" in said
    result = json.loads((tmp_path / "output" / "result.json").read_text())
    assert 0.04 < result["barrier_forward_eV"] < 0.06
    assert -350.0 < result["saddle"]["imaginary_per_cm"][0] < -250.0
    assert (tmp_path / "output" / "neb.png").exists()
