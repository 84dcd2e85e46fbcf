"""Reading files that others made: nothing in them is taken for granted.

Errors are ValueErrors that name the fault; whoever reads a file adds which one it is.
"""

from __future__ import annotations

import json
import math
import re
import stat
from collections.abc import Mapping
from dataclasses import is_dataclass
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import torch
from torch.utils._python_dispatch import TorchDispatchMode  # torch's notes name it there
from torch.utils._pytree import tree_leaves

# Levels of brackets in a card: ours have five.
DEEPEST = 50


def read_regular_file(path: Path, limit_bytes: float) -> bytes:
    """The content of a file, which pipes and devices, that may never end, are not.

    Links are followed, as caches of downloads are made of them.

    Raises
    ------
    OSError
        If it is not there or not allowed.
    ValueError
        If it is no regular file or too large to be read.
    """
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise ValueError("it is not a regular file")
    if status.st_size > limit_bytes:
        raise ValueError(
            f"its {status.st_size / 1e9:.3g} GB are more than the {limit_bytes / 1e9:.3g} GB that "
            "may be read"
        )
    return path.read_bytes()


def parse_json(content: bytes) -> Any:
    """JSON by the letter of its standard: no NaN, no infinity, no bottomless nesting."""

    def refuse(constant: str) -> None:
        raise ValueError(f"{constant} is not a number in JSON")

    text = content.decode("utf-8")
    # Beforehand: where the interpreter's recursion limit has been raised, deep nesting ends the
    # process instead of the reading.
    if _depth(text) > DEEPEST:
        raise ValueError("it is nested too deeply")
    return json.loads(text, parse_constant=refuse)


def _depth(text: str) -> int:
    """How deep the brackets of a JSON text go, those in strings left out."""
    deepest = depth = 0
    for bracket in re.findall(r"[\[\]{}]", re.sub(r'"(?:[^"\\]|\\.)*"', "", text)):
        depth += 1 if bracket in "[{" else -1
        deepest = max(deepest, depth)
    return deepest


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


class Allowance(TorchDispatchMode):
    """Refuses to make tensors beyond so many bytes inside a ``with`` block.

    What an operation asks for is added up before it runs, and never taken off again.

    Raises
    ------
    ValueError
        From the operation that goes too far, before it takes any memory.
    """

    def __init__(self, limit_bytes: float) -> None:
        super().__init__()
        self.limit_bytes = limit_bytes
        self._asked = 0.0

    def __torch_dispatch__(
        self,
        func: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, torch.Tensor)]
        if not tensors and args and isinstance(args[0], list | tuple):
            # What makes tensors of nothing has their shape first.
            kind = kwargs.get("dtype") or torch.get_default_dtype()
            self._take(math.prod(args[0]) * kind.itemsize)
            return func(*args, **kwargs)
        result = func(*args, **kwargs)
        if not any(result is tensor for tensor in tensors):
            leaves = (leaf for leaf in tree_leaves(result) if isinstance(leaf, torch.Tensor))
            self._take(sum(leaf.untyped_storage().nbytes() for leaf in leaves))
        return result

    def _take(self, more_bytes: float) -> None:
        self._asked += more_bytes
        if self._asked > self.limit_bytes:
            raise ValueError(
                f"it asks for {self._asked / 1e9:.3g} GB, and no more than "
                f"{self.limit_bytes / 1e9:.3g} GB would be right"
            )
