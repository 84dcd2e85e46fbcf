"""Runs outlive whoever reads their output."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from ase.build import molecule
from ase.io import write

from ase_geomformer.cli import INTERRUPTED, main

COMMAND = [sys.executable, "-c", "from ase_geomformer.cli import main; raise SystemExit(main())"]
POTENTIAL = "so3krates-rmd17-ethanol"


@pytest.fixture
def ethanol(tmp_path: Path) -> str:
    write(tmp_path / "ethanol.xyz", molecule("CH3CH2OH"))
    return str(tmp_path / "ethanol.xyz")


def without_reader(arguments: list[str]) -> subprocess.CompletedProcess[str]:
    """Run a command whose standard output nobody reads."""
    reader, writer = os.pipe()
    os.close(reader)
    try:
        return subprocess.run(
            [*COMMAND, *arguments], stdout=writer, stderr=subprocess.PIPE, text=True, timeout=120
        )
    finally:
        os.close(writer)


def test_a_run_without_a_reader_finishes_its_files(ethanol: str, tmp_path: Path) -> None:
    options = ["--potential", POTENTIAL, "--structure", ethanol, "--output", str(tmp_path / "run")]
    done = without_reader(["md", *options, "--steps", "20"])
    assert done.returncode == 0
    assert done.stderr == ""
    for name in ("result.json", "log.csv", "final.extxyz", "md.png"):
        assert (tmp_path / "run" / name).stat().st_size > 0


def test_a_table_without_a_reader_is_no_error() -> None:
    done = without_reader(["models", "list"])
    assert (done.returncode, done.stderr) == (0, "")


def test_standard_output_may_be_closed(ethanol: str) -> None:
    arguments = ["singlepoint", "--potential", POTENTIAL, "--structure", ethanol, "--json"]
    done = subprocess.run(
        ["sh", "-c", 'exec "$@" >&-', "sh", *COMMAND, *arguments],
        stderr=subprocess.PIPE, text=True, timeout=120,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("columns", ["0", "", "1"])
def test_a_terminal_may_have_no_width(columns: str) -> None:
    environment = {**os.environ, "COLUMNS": columns}
    done = subprocess.run(
        [*COMMAND, "models", "list"], env=environment, capture_output=True, text=True, timeout=120
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("option", ["--potential", "--structure", "--output", "--config"])
def test_unknown_homes_are_one_error(
    option: str, ethanol: str, capsys: pytest.CaptureFixture[str]
) -> None:
    options = {"--potential": POTENTIAL, "--structure": ethanol, option: "~nosuchuser/x"}
    assert (
        main(["relax", "--output", "x", *(word for pair in options.items() for word in pair)]) == 2
    )
    (line,) = capsys.readouterr().err.splitlines()
    assert "~nosuchuser" in line


def test_an_interruption_is_told_in_a_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("ase_geomformer.cli._run_verb", interrupt)
    assert main(["models"]) == INTERRUPTED
    assert capsys.readouterr().err == "ase-geomformer: interrupted\n"
