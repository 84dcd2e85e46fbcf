"""Every number that a verb takes has a range with its unit, told in errors and help."""

from __future__ import annotations

import importlib
import math
import pkgutil
from collections.abc import Iterator
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, get_args, get_origin, get_type_hints

import pytest

from ase_geomformer.settings.checks import check_settings
from ase_geomformer.settings.ranges import Range, range_of, ranged

# What the other settings of a class need, to be valid beside any one that is tried.
NEEDED: dict[str, dict[str, Any]] = {
    "ReplicaSettings": {"copies": 1},
    "DataSettings": {"path": "x.xyz"},
}
# Settings that hold other settings only.
LEFT_OUT = {"TrainSettings", "ModelSettings", "CardSettings"}
ROOMS = (
    "md", "recipes", "runtime", "training", "data", "learning", "architectures", "physics",
    "engines.ipi", "engines.lammps",
)  # fmt: skip


def settings_classes() -> Iterator[type]:
    for room in ROOMS:
        package = importlib.import_module(f"ase_geomformer.{room}")
        for entry in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            for name, value in vars(importlib.import_module(entry.name)).items():
                own = getattr(value, "__module__", "") == entry.name
                if own and is_dataclass(value) and name.endswith("Settings"):
                    assert isinstance(value, type)
                    yield value


def numbers(settings: type) -> Iterator[tuple[str, bool]]:
    """Name of each setting that takes numbers, and whether they are in a list."""
    hints = get_type_hints(settings)
    for entry in fields(settings):
        kinds = {hints[entry.name]}
        if get_origin(hints[entry.name]) is not tuple:
            kinds |= set(get_args(hints[entry.name]))
        inner = {one for kind in kinds for one in get_args(kind)}
        if kinds & {int, float}:
            yield entry.name, False
        elif inner & {int, float} and not any(str(kind).startswith("dict") for kind in kinds):
            yield entry.name, True


CASES = [
    pytest.param(settings, name, in_list, id=f"{settings.__name__}.{name}")
    for settings in dict.fromkeys(settings_classes())
    if settings.__name__ not in LEFT_OUT
    for name, in_list in numbers(settings)
]


@pytest.mark.parametrize(("settings", "name", "in_list"), CASES)
def test_numbers_outside_their_range_are_refused(settings: type, name: str, in_list: bool) -> None:
    allowed = range_of(settings, name)
    assert allowed is not None, f"{settings.__name__}.{name} has no range"
    assert math.isfinite(allowed.low)
    assert math.isfinite(allowed.high)
    needed = NEEDED.get(settings.__name__, {})
    outside = [allowed.high * 2 + 1, allowed.low - 1, math.nan, math.inf, 1e308, -1e308]
    for value in [*outside, *([allowed.low] if allowed.above else [])]:
        given = {**needed, name: [value] * 3 if in_list else value}
        with pytest.raises(ValueError, match=rf"{name} = .* must be ") as raised:
            settings(**given)
        assert len(str(raised.value)) < 300


@pytest.mark.parametrize(("settings", "name", "in_list"), CASES)
def test_defaults_lie_in_their_range(settings: type, name: str, in_list: bool) -> None:
    value = getattr(settings(**NEEDED.get(settings.__name__, {})), name)
    allowed = range_of(settings, name)
    assert allowed is not None
    for one in value if isinstance(value, list | tuple) else [value]:
        if isinstance(one, int | float) and not isinstance(one, bool):
            assert one in allowed


def test_all_settings_are_searched() -> None:
    assert len(CASES) > 80


@dataclass(frozen=True)
class Base:
    time_fs: float = ranged(1.0, 0, 10, "fs", above=True)
    counts: list[int] | None = ranged(None, 1, 5)


@dataclass(frozen=True)
class Derived(Base):
    time_fs: float = 2.0

    def __post_init__(self) -> None:
        check_settings(self)


def test_a_subclass_keeps_the_range_of_what_it_only_changes_the_default_of() -> None:
    assert range_of(Derived, "time_fs") == Range(0, 10, "fs", above=True)
    assert Derived().time_fs == 2.0
    with pytest.raises(ValueError, match="time_fs = 11 must be positive and at most 10 fs"):
        Derived(time_fs=11)
    with pytest.raises(ValueError, match=r"counts = \[1, 6\] must be a list of whole numbers"):
        Derived(counts=[1, 6])
    assert range_of(Derived, "nothing") is None


@pytest.mark.parametrize(
    ("allowed", "text", "brief"),
    [
        (Range(0, 1e6, "K"), "zero or positive, and at most 1e+06 K", "≥ 0, ≤ 1e+06 K"),
        (Range(0, 5, above=True), "positive and at most 5", "> 0, ≤ 5"),
        (Range(-1, 1, "GPa"), "from -1 to 1 GPa", "≥ -1, ≤ 1 GPa"),
        (Range(1, 2, above=True), "from above 1 to 2", "> 1, ≤ 2"),
        (Range(1, 10**12, "fs"), "from 1 to 1e+12 fs", "≥ 1 fs"),
    ],
)
def test_ranges_are_told_in_words(allowed: Range, text: str, brief: str) -> None:
    assert str(allowed) == text
    assert allowed.brief == brief


def test_help_tells_the_ranges_of_settings_and_of_their_groups() -> None:
    from ase_geomformer.md.settings import MDSettings
    from ase_geomformer.settings.parser import SettingsParser

    parser = SettingsParser(prog="test")
    parser.add_class_arguments(MDSettings, as_group=True)
    words = " ".join(parser.format_help().split())
    assert "(> 0, ≤ 100 fs). (type: float, default: 0.5)" in words
    assert "0.74 (> 0, ≤ 10 Å)." in words
