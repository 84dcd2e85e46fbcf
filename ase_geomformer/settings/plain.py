"""Plain values, as JSON and YAML give them, checked against annotations of dataclasses."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from ase_geomformer.settings.checks import require


def check_plain(value: Any, kind: Any, place: str) -> None:
    """Refuse a plain value that is not of a type, as annotations of dataclasses spell it.

    Fields that a mapping lacks or has too many are left to the dataclass to complain about.
    Numbers must be finite; a float may be written as an integer, a tuple as a list.

    Parameters
    ----------
    value : object
        As JSON gives it.
    kind : type
        A dataclass, ``float``, ``list[...]``, ``dict[str, ...]``, ``X | None`` and the like.
    place : str
        What the value is called in errors.

    Raises
    ------
    ValueError
        With the place, the value and what it should be.
    """
    origin, inner = get_origin(kind), get_args(kind)
    if kind is Any:
        return
    if is_dataclass(kind) and isinstance(kind, type):
        _check_kind(value, Mapping, "a mapping", place)
        hints = get_type_hints(kind)
        for name in value.keys() & hints.keys():
            check_plain(value[name], hints[name], f"{place}.{name}" if place else name)
    elif origin in (Union, UnionType):
        _check_any(value, inner, place)
    elif origin is Literal:
        if not any(value == choice and type(value) is type(choice) for choice in inner):
            raise ValueError(f"{place} is {_short(value)}; choose from {inner}")
    elif origin in (list, tuple):
        _check_kind(value, list | tuple, "a list", place)
        for index, entry in enumerate(value):
            check_plain(entry, inner[0], f"{place}[{index}]")
    elif origin is dict:
        _check_kind(value, Mapping, "a mapping", place)
        for key, entry in value.items():
            check_plain(entry, inner[1], f"{place}.{key}")
    else:
        _check_single(value, kind, place)


def _check_any(value: Any, kinds: tuple[Any, ...], place: str) -> None:
    """Refuse a value that is of none of the types; the last reason is told."""
    if value is None and NoneType in kinds:
        return
    reason: ValueError | None = None
    for kind in (kind for kind in kinds if kind is not NoneType):
        try:
            return check_plain(value, kind, place)
        except ValueError as error:
            reason = error
    raise reason or ValueError(f"{place} is {_short(value)}, not null")


def _check_single(value: Any, kind: Any, place: str) -> None:
    accepted = int | float if kind is float else kind
    # To Python, truth values are integers.
    if isinstance(value, bool) != (kind is bool) or not isinstance(value, accepted):
        raise ValueError(f"{place} is {_short(value)}, not of type {kind.__name__}")
    if kind is float:
        try:
            finite = math.isfinite(value)
        except OverflowError:
            finite = False
        if not finite:
            raise ValueError(f"{place} is {_short(value)}, not a finite number")


def _check_kind(value: Any, kind: Any, name: str, place: str) -> None:
    if not isinstance(value, kind):
        raise ValueError(f"{place or 'the content'} is {_short(value)}, not {name}")


def _short(value: Any) -> str:
    """A value for messages, which a megabyte of it does not fit in."""
    try:
        text = repr(value)
    except ValueError:  # an integer of more than 4300 digits
        return "an integer without end"
    return text if len(text) <= 60 else f"{text[:60]}…"


def settings_from(owner: str, settings_class: type, given: Mapping[str, Any]) -> Any:
    """A settings object from plain values; ``owner`` names its module in errors.

    Raises
    ------
    ValueError
        If a field is unknown, or a value is out of range.
    """
    known = {field.name for field in fields(settings_class)}
    strange = sorted(set(given) - known)
    if strange:
        raise ValueError(
            f"{owner} has no setting {', '.join(map(repr, strange))}; "
            f"its settings are {', '.join(sorted(known))}"
        )
    return settings_class(**given)


def take_groups(settings: Any, **kinds: type) -> None:
    """Make settings objects of groups that are mappings, as ``settings.yaml`` has them.

    Parameters
    ----------
    settings : dataclass
        Frozen; called from its ``__post_init__``.
    **kinds : type
        The class of each group, by the name of its field.

    Raises
    ------
    ValueError
        If a group is of another type, or :func:`settings_from` refuses it.
    """
    for name, kind in kinds.items():
        given = getattr(settings, name)
        if isinstance(given, Mapping):
            object.__setattr__(settings, name, settings_from(name, kind, given))
        else:
            require(
                settings,
                isinstance(given, kind),
                name,
                f"a mapping of settings, or {kind.__name__}",
            )
