"""Command lines as people type them."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
import yaml
from ase import Atoms
from ase.io import write

from ase_geomformer.cli import main
from ase_geomformer.commands import VERBS

RUN = ["--calculator", "emt", "--structure", "crystal.xyz", "--output", "out"]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    from ase.build import bulk

    monkeypatch.chdir(tmp_path)
    write("crystal.xyz", bulk("Cu", cubic=True))
    return tmp_path


@pytest.mark.parametrize(
    ("verb", "words", "meant"),
    [
        ("md", "--temperature 300", "--temperature_K"),
        ("md", "--temprature_K 300", "--temperature_K"),
        ("md", "--temperature-K 300", "--temperature_K"),
        ("md", "--struct x", "--structure"),
        ("md", "--max_force 3", "--guards.max_force_eV_per_A"),
        ("relax", "--cel isotropic", "--cell"),
    ],
)
def test_hints(verb: str, words: str, meant: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([verb, *RUN, *words.split()]) == 2
    assert capsys.readouterr().err.endswith(f"; did you mean {meant}?\n")


def test_hints_for_keys_of_files(capsys: pytest.CaptureFixture[str]) -> None:
    Path("md.yaml").write_text("guards: {max_force: 3}\n")
    assert main(["md", "md.yaml", *RUN]) == 2
    assert "did you mean guards.max_force_eV_per_A?" in capsys.readouterr().err


def test_former_names_of_options_and_keys(capsys: pytest.CaptureFixture[str]) -> None:
    quick = ["--points", "5", "--relax_ions", "false", "--progress", "false"]
    assert main(["eos", *RUN, "--no-relax_first", *quick]) == 0
    assert "note: --no-relax_first is called --no-relax now" in capsys.readouterr().err
    stored = yaml.safe_load(Path("out/settings.yaml").read_text())
    assert stored["relax"] is False
    stored["relax_first"] = stored.pop("relax")
    Path("old.yaml").write_text(yaml.safe_dump(stored))
    again = ["--calculator", "emt", "--output", "again", "--progress", "false"]
    for config in (["old.yaml"], ["--config", "old.yaml"], ["--config=old.yaml"]):
        assert main(["eos", *config, *again, "--overwrite"]) == 0
        assert "note: relax_first is called relax now" in capsys.readouterr().err
        assert yaml.safe_load(Path("again/settings.yaml").read_text())["relax"] is False


@pytest.mark.parametrize("mesh", [["3", "3", "3"], ["3,3,3"], ["[3, 3, 3]"]])
def test_lists(mesh: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["phonons", *RUN, "--mesh", *mesh, "--print_config"]) == 0
    assert yaml.safe_load(capsys.readouterr().out)["mesh"] == [3, 3, 3]


@pytest.mark.parametrize("verb", [verb for verb in VERBS if verb not in ("models", "cache")])
def test_every_verb_prints_its_settings(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    positional = {"report": ["out"], "completion": ["bash"], "convert": ["so3lr", "x"]}.get(
        verb, []
    )
    assert main([verb, *positional, "--print_config"]) == 0
    assert yaml.safe_load(capsys.readouterr().out)


def test_phonons_of_a_molecule_are_its_vibrations(
    ethanol: Atoms, capsys: pytest.CaptureFixture[str]
) -> None:
    write("crystal.xyz", ethanol)
    assert main(["phonons", *RUN]) == 2
    assert "for a molecule, use vibrations" in capsys.readouterr().err


def test_models_are_one_line_each(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert main(["models"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    (row,) = [line for line in lines if "so3krates-rmd17-ethanol" in line]
    assert re.search(r"ethanol +H C O +3\.78 +\d\.\d+ +Ethanol in", row)


def test_completion(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("shtab")
    assert main(["completion", "bash"]) == 0
    Path("script").write_text(capsys.readouterr().out)
    ask = (
        "source ./script; "
        "ask=$(complete -p ase-geomformer | sed 's/.*-F \\(\\S*\\).*/\\1/'); "
        "COMP_WORDS=(ase-geomformer %s); COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); "
        "$ask; echo ${COMPREPLY[@]}"
    )
    for words, expected in {
        "elas": "elastic",
        "md --ensemble npt": "npt-mtk npt-berendsen",
        "relax --potential est-mgo": "est-mgo",
        "relax --cell_": "--cell_mask",
    }.items():
        command = ["bash", "-c", ask % words]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        assert done.stdout.strip() == expected
