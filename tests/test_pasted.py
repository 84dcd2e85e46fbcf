"""Code of the pages: options that exist, files and names that are there, and the README's run."""

from __future__ import annotations

import ast
import builtins
import itertools
import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest

from ase_geomformer.commands import VERBS, load
from ase_geomformer.registry import list_potentials
from ase_geomformer.settings.parser import SettingsParser, spell_out_flags

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
# A training of five minutes, in five seconds.
SHORT_TRAINING = [
    "--run.steps",
    "40",
    "--run.validate_every",
    "20",
    "--optimizer.warmup_steps",
    "5",
]
# Options whose value is a file that a reader has to have before.
_INPUTS = ("--structure", "--data", "--final")


def commands(page: Path) -> list[list[str]]:
    """The command lines of ours in the code blocks of a page, as words."""
    blocks = re.findall(r"^```.*?\n(.*?)^```$", page.read_text(encoding="utf-8"), re.M | re.S)
    lines = "".join(blocks).replace("\\\n", " ").splitlines()
    ours = [line for line in lines if line.startswith("ase-geomformer ")]
    return [shlex.split(line, comments=True) for line in ours]


def is_placeholder(word: str) -> bool:
    """Whether a reader has to put something of their own in the place of a word."""
    return re.fullmatch(r"[\[\], A-Z_]+(\|[A-Z]+)?", word) is not None


EVERY = [(page, words) for page in PAGES for words in commands(page)]
README = [words for page, words in EVERY if page.name == "README.md"]


def option_names(verb: str) -> set[str]:
    parser = SettingsParser(prog=verb)
    load(verb).add_arguments(parser)
    return {"--config", *(name for one in parser._actions for name in one.option_strings)}


@pytest.mark.parametrize(
    ("page", "words"), EVERY, ids=[f"{page.stem}: {' '.join(w[1:5])}" for page, w in EVERY]
)
def test_options_exist_and_files_are_there(page: Path, words: list[str]) -> None:
    verb = words[1]
    assert verb in VERBS
    trained = {f"{words[-1]}/potential" for words in README if words[1] == "train"}
    parser = SettingsParser(prog=verb)
    load(verb).add_arguments(parser)
    given = spell_out_flags(parser, words[2:])
    names = {word.partition("=")[0] for word in given if word.startswith("--")}
    assert names <= option_names(verb)
    for name, value in itertools.pairwise(given):
        if name in _INPUTS and value.startswith("examples/"):
            assert (ROOT / value).exists()
        if page.name == "README.md" and name in _INPUTS:
            assert (ROOT / value).exists()
        if name == "--potential" and page.name == "README.md":
            assert value in {*list_potentials(), "so3lr", *trained} or is_placeholder(value)


def test_the_readme_runs_as_it_stands(tmp_path: Path, run_python: Callable) -> None:
    """In order and in one folder, trainings shortened, without what needs more than the package."""
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    ran = [words for words in README if not {"so3lr", "tblite"} & set(words)]
    assert len(ran) >= 6
    for words in ran:
        short = SHORT_TRAINING if words[1] == "train" else []
        if words[1] == "md" and "my_ethanol/potential" in words:
            short = ["--steps", "20"]  # a potential of 40 training steps does not hold for long
        run_python("-m", "ase_geomformer", *words[1:], *short, cwd=tmp_path)
    assert (tmp_path / "phonons" / "report.html").is_file()
    assert "2500" in (tmp_path / "run" / "result.json").read_text()


PYTHON = [
    pytest.param(page, code, id=f"{page.stem} {number}")
    for page in PAGES
    for number, code in enumerate(
        re.findall(r"^```python\n(.*?)^```", page.read_text(encoding="utf-8"), re.S | re.M)
    )
]
# What a reader brings along.
BROUGHT = {
    "atoms", "calculator", "structures",
    "system", "topology",  # of OpenMM
    "lmp",  # of the script before
    "ArchitectureSuite", "Exemption", "Limits",  # imported in the block before
}  # fmt: skip


@pytest.mark.parametrize(("page", "code"), PYTHON)
def test_what_python_needs_is_imported(page: Path, code: str) -> None:
    """A block can be pasted on its own; names that it does not define are the reader's."""
    known, used = {*dir(builtins), *BROUGHT}, set()
    for node in ast.walk(ast.parse(code)):
        match node:
            case ast.Import(names) | ast.ImportFrom(names=names):
                known |= {(name.asname or name.name).partition(".")[0] for name in names}
            case ast.FunctionDef(name) | ast.ClassDef(name) | ast.arg(name):
                known.add(name)
            case ast.Name(name, ast.Load()):
                used.add(name)
            case ast.Name(name):
                known.add(name)
    assert used <= known
