"""Lists as people type them, former names, and hints for slips."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

import pytest

from ase_geomformer.settings.parser import SettingsParser
from ase_geomformer.settings.renamed import renamed
from ase_geomformer.settings.words import hint, join_lists, nearest, rename_options


@dataclass(frozen=True)
class Guards:
    """Guards.

    Attributes
    ----------
    max_force_eV_per_A : float
        Largest force.
    """

    max_force_eV_per_A: float = 1.0


@renamed(grid="mesh")
@dataclass(frozen=True)
class Settings:
    """Settings.

    Attributes
    ----------
    mesh : list of int or "auto"
        Points.
    temperatures_K : list of float, optional
        Temperatures.
    checks : list of str
        Names.
    files : str or list of str
        Files.
    structure : str
        File.
    guards : Guards
        Guards.
    """

    mesh: list[int] | Literal["auto"] = "auto"
    temperatures_K: list[float] | None = None
    checks: list[str] = field(default_factory=list)
    files: str | list[str] = ""
    structure: str = ""
    guards: Guards = field(default_factory=Guards)


@pytest.fixture
def parser() -> SettingsParser:
    made = SettingsParser(exit_on_error=False)
    made.add_class_arguments(Settings)
    return made


@pytest.mark.parametrize(
    ("words", "name", "expected"),
    [
        ("--mesh 7 7 7", "mesh", [7, 7, 7]),
        ("--mesh 7,7,7", "mesh", [7, 7, 7]),
        ("--mesh=7,7,7", "mesh", [7, 7, 7]),
        ("--mesh 7, 7, 7", "mesh", [7, 7, 7]),
        ("--mesh [7, 7, 7]", "mesh", [7, 7, 7]),
        ("--mesh [7,7,7]", "mesh", [7, 7, 7]),
        ("--mesh 7", "mesh", [7]),
        ("--mesh auto", "mesh", "auto"),
        ("--mesh -1 0 1 --structure x", "mesh", [-1, 0, 1]),
        ("--temperatures_K 300 3.6e2", "temperatures_K", [300.0, 360.0]),
        ("--temperatures_K null", "temperatures_K", None),
        ("--checks one two", "checks", ["one", "two"]),
        ("--checks one,two", "checks", ["one", "two"]),
        ("--files a.xyz", "files", "a.xyz"),
        ("--files a,b.xyz", "files", "a,b.xyz"),
        ("--files a,b.xyz {x}: --structure y", "files", ["a,b.xyz", "{x}:"]),
        ("--files=a.xyz", "files", "a.xyz"),
    ],
)
def test_lists(words: str, name: str, expected: object, parser: SettingsParser) -> None:
    assert parser.parse_args(join_lists(parser, words.split()))[name] == expected


def test_what_is_no_number_is_named(parser: SettingsParser) -> None:
    with pytest.raises(ValueError, match="--mesh: expected numbers, as in --mesh 7 7 7. Got: 7 x"):
        join_lists(parser, ["--mesh", "7", "x"])


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("temperature", "temperature_K"),
        ("temprature_K", "temperature_K"),
        ("temperature-K", "temperature_K"),
        ("TEMPERATURE_k", "temperature_K"),
        ("struct", "structure"),
        ("max_force", "guards.max_force_eV_per_A"),
        ("guards.max_forc_eV_per_A", "guards.max_force_eV_per_A"),
        ("zzz", None),
        ("t", None),
    ],
)
def test_the_nearest_name(given: str, meant: str | None) -> None:
    names = ["temperature_end_K", "temperature_K", "structure", "guards.max_force_eV_per_A"]
    assert nearest(given, names) == meant


def test_hints_are_for_unknown_options_and_keys_only(parser: SettingsParser) -> None:
    words = ["--struct", "x", "--mesh", "7"]
    assert hint(parser, words, []) == "did you mean --structure?"
    content = {"mesh": [7], "guards": {"max_force": 3}, "chekcs": []}
    assert hint(parser, [], [content]) == "did you mean guards.max_force_eV_per_A and checks?"
    assert hint(parser, ["--zzz"], [{"mesh": 3}]) == ""


def test_former_names_are_noted() -> None:
    notes: list[tuple[str, str]] = []
    words = ["--grid", "7", "--no-grid", "--structure", "grid", "--grid=3"]
    found = rename_options(words, {"grid": "mesh"}, lambda *names: notes.append(names))
    assert found == ["--mesh", "7", "--no-mesh", "--structure", "grid", "--mesh=3"]
    assert notes == [("--grid", "--mesh"), ("--no-grid", "--no-mesh"), ("--grid", "--mesh")]


def test_settings_take_former_names(parser: SettingsParser) -> None:
    with pytest.warns(DeprecationWarning, match="grid is called mesh now") as found:
        assert Settings(grid=[3]) == Settings(mesh=[3])  # type: ignore[call-arg]
    assert found[0].filename == __file__
    with pytest.raises(ValueError, match="are the same setting; give mesh only"):
        Settings(mesh=[3], grid=[4])  # type: ignore[call-arg]
    assert replace(Settings(), mesh=[5]).mesh == [5]
    assert parser.renamed == {"grid": "mesh"}
