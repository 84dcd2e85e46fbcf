"""What is true or false is written in the same ways everywhere."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import pytest
from jsonargparse import ArgumentParser

from ase_geomformer.settings.parser import instantiate, spell_out_flags


@dataclass(frozen=True)
class Inner:
    """Inner settings.

    Attributes
    ----------
    check : bool
        Whether to check.
    """

    check: bool = True


@dataclass(frozen=True)
class Settings:
    """Settings.

    Attributes
    ----------
    keep_it : bool
        Whether to keep it.
    tables : bool or "auto"
        Whether to use tables.
    steps : int
        Number of steps.
    inner : Inner
        Inner settings.
    """

    keep_it: bool = False
    tables: bool | Literal["auto"] = "auto"
    steps: int = 1
    inner: Inner = field(default_factory=Inner)


def parser() -> ArgumentParser:
    made = ArgumentParser(exit_on_error=False)
    made.add_argument("files", nargs="*")
    made.add_class_arguments(Settings, as_group=True)
    return made


@pytest.mark.parametrize(
    ("words", "name", "expected"),
    [
        ("--keep_it", "keep_it", True),
        ("--keep_it true", "keep_it", True),
        ("--keep_it=true", "keep_it", True),
        ("--keep_it Yes", "keep_it", True),
        ("--keep_it a.xyz", "keep_it", True),
        ("--keep_it --steps 2", "keep_it", True),
        ("--no-keep_it", "keep_it", False),
        ("--no_keep_it", "keep_it", False),
        ("--keep_it false", "keep_it", False),
        ("--keep_it=no", "keep_it", False),
        ("--keep_it --no-keep_it", "keep_it", False),
        ("--tables", "tables", True),
        ("--no-tables", "tables", False),
        ("--tables auto", "tables", "auto"),
        ("--tables=false", "tables", False),
        ("--inner.check", "inner.check", True),
        ("--no-inner.check", "inner.check", False),
        ("--inner.check=false", "inner.check", False),
    ],
)
def test_all_forms_mean_the_same(words: str, name: str, expected: object) -> None:
    made = parser()
    found = instantiate(made, made.parse_args(spell_out_flags(made, words.split())))
    value: object = found
    for part in name.split("."):
        value = getattr(value, part)
    assert value is expected if isinstance(expected, bool) else value == expected
    assert found.files == (["a.xyz"] if "a.xyz" in words else [])
    assert found.steps == (2 if "--steps" in words else 1)


def test_other_words_stay_as_they_are() -> None:
    words = ["a.xyz", "--steps", "3", "--no-steps", "--keep", "--", "true"]
    assert spell_out_flags(parser(), words) == words


@pytest.mark.parametrize("words", ["--keep_it=maybe", "--no-keep_it=true", "--tables=soon"])
def test_what_is_neither_is_refused(words: str) -> None:
    made = parser()
    with pytest.raises(Exception, match=r"keep_it|tables"):
        made.parse_args(spell_out_flags(made, words.split()))
