"""Checks of settings, with one clear error for each."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import fields
from numbers import Real
from types import NoneType
from typing import Any, Literal, get_args, get_origin, get_type_hints


def check_settings(
    settings: Any, *, positive: Iterable[str] = (), not_negative: Iterable[str] = ()
) -> None:
    """Check the choices and numbers of a settings dataclass; None passes where its type has it.

    Raises
    ------
    ValueError
        If a choice is unknown, or what should be a number is none, not finite, not whole or
        out of range.
    """
    positive, not_negative = set(positive), set(not_negative)
    types = get_type_hints(type(settings))
    for entry in fields(settings):
        value, kind = getattr(settings, entry.name), types[entry.name]
        if get_origin(kind) is Literal:
            choices = get_args(kind)
            require(settings, value in choices, entry.name, f"one of {', '.join(choices)}")
        kinds = {kind, *get_args(kind)}
        if not kinds & {int, float} or (value is None and NoneType in kinds):
            continue
        is_number = isinstance(value, Real) and not isinstance(value, bool)
        require(settings, is_number and math.isfinite(value), entry.name, "a finite number")
        if float not in kinds:
            require(settings, value == int(value), entry.name, "a whole number")
        if entry.name in positive:
            require(settings, value > 0, entry.name, "positive")
        if entry.name in not_negative:
            require(settings, value >= 0, entry.name, "zero or positive")


def require(settings: Any, met: bool, name: str, what: str) -> None:
    """Raise ValueError, naming the setting, its value and what it must be, unless ``met``."""
    if not met:
        raise ValueError(f"{name} = {getattr(settings, name)!r} must be {what}")
