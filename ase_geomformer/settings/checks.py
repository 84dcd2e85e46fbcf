"""Checks of settings, with one clear error for each."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import fields
from numbers import Real
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints


def check_settings(
    settings: Any, *, positive: Iterable[str] = (), not_negative: Iterable[str] = ()
) -> None:
    """Check the choices, numbers and booleans of a settings dataclass against its annotations.

    Parameters
    ----------
    settings : dataclass
    positive, not_negative : iterable of str
        Names of settings whose numbers must be above zero, or at least zero.

    Raises
    ------
    ValueError
        If a choice is unknown, or what should be a number is none, not finite, not whole or
        out of range, or what should be true or false is neither.
    """
    positive, not_negative = set(positive), set(not_negative)
    types = get_type_hints(type(settings))
    for entry in fields(settings):
        value, kind = getattr(settings, entry.name), types[entry.name]
        kinds = set(get_args(kind) if get_origin(kind) in (Union, UnionType) else (kind,))
        choices = [c for k in kinds if get_origin(k) is Literal for c in get_args(k)]
        is_choice = any(type(value) is type(choice) and value == choice for choice in choices)
        simple = {k for k in kinds if get_origin(k) is not Literal} - {NoneType}
        if is_choice or (value is None and NoneType in kinds) or not simple <= {int, float, bool}:
            continue
        is_flag = isinstance(value, bool)
        if simple <= {bool}:
            allowed = [*(("true", "false") if simple else ()), *map(str, choices)]
            require(settings, is_flag and bool(simple), entry.name, f"one of {', '.join(allowed)}")
            continue
        wanted = " or ".join(["a finite number", *map(str, choices)])
        is_number = isinstance(value, Real) and not is_flag
        require(settings, is_number and math.isfinite(value), entry.name, wanted)
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
