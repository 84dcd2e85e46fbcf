"""Checks of settings, with one clear error for each."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import fields
from numbers import Real
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from ase_geomformer.settings.ranges import range_of


def check_settings(settings: Any) -> None:
    """Check the choices, numbers and booleans of a settings dataclass against its declaration.

    Annotations say what a value may be, and :func:`~ase_geomformer.settings.ranges.ranged` in
    which range its numbers lie. A class whose settings are a group of others names it in the
    variable ``GROUP``, for errors.

    Raises
    ------
    ValueError
        If a choice is unknown, or what should be a number is none, not finite, not whole or
        out of range, or what should be true or false is neither.
    """
    types = get_type_hints(type(settings))
    for entry in fields(settings):
        value, kind = getattr(settings, entry.name), types[entry.name]
        kinds = set(get_args(kind) if get_origin(kind) in (Union, UnionType) else (kind,))
        choices = [c for k in kinds if get_origin(k) is Literal for c in get_args(k)]
        is_choice = any(type(value) is type(choice) and value == choice for choice in choices)
        simple = {k for k in kinds if get_origin(k) is not Literal} - {NoneType}
        if isinstance(value, list | tuple):
            _check_list(settings, entry.name, value, simple)
            continue
        if is_choice or (value is None and NoneType in kinds) or not simple <= {int, float, bool}:
            continue
        is_flag = isinstance(value, bool)
        if simple <= {bool}:
            allowed = [*(("true", "false") if simple else ()), *map(str, choices)]
            require(settings, is_flag and bool(simple), entry.name, f"one of {', '.join(allowed)}")
            continue
        null = ["null"] if NoneType in kinds else []
        wanted = " or ".join(["a finite number", *map(str, choices), *null])
        is_number = isinstance(value, Real) and not is_flag
        require(settings, is_number and math.isfinite(value), entry.name, wanted)
        if float not in kinds:
            require(settings, value == int(value), entry.name, "a whole number")
        allowed_range = range_of(type(settings), entry.name)
        if allowed_range is not None:
            require(settings, value in allowed_range, entry.name, str(allowed_range))


def _check_list(settings: Any, name: str, values: Sequence[Any], kinds: set[Any]) -> None:
    """Check the numbers of a list, if it is to hold numbers."""
    inner = {one for kind in kinds for one in get_args(kind)} - {Ellipsis}
    if not inner or not inner <= {int, float}:
        return
    allowed = range_of(type(settings), name)
    for value in values:
        is_number = isinstance(value, Real) and not isinstance(value, bool)
        met = is_number and math.isfinite(value) and (float in inner or value == int(value))
        kind = "numbers" if float in inner else "whole numbers"
        what = f"a list of {kind}" + ("" if allowed is None else f", each {allowed}")
        require(settings, met and (allowed is None or value in allowed), name, what)


def require(settings: Any, met: bool, name: str, what: str) -> None:
    """Raise ValueError, naming the setting, its value and what it must be, unless ``met``."""
    if not met:
        value = repr(getattr(settings, name))
        shown = value if len(value) <= 80 else f"{value[:80]}…"
        raise ValueError(f"{getattr(settings, 'GROUP', '')}{name} = {shown} must be {what}")
