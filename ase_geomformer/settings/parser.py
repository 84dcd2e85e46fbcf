"""Parsing settings with jsonargparse: versions, and one way to write what is true or false."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, get_args, get_origin

from jsonargparse import ArgumentParser, Namespace

_WORDS = {"true": "true", "yes": "true", "false": "false", "no": "false"}

FLAGS_HELP = "Options with {true,false} can also be given as --OPTION and --no-OPTION."


def instantiate(parser: ArgumentParser, parsed: Namespace) -> Namespace:
    """Parsed options with their settings classes made."""
    # instantiate_classes is what jsonargparse called it before 4.49.
    make = getattr(parser, "instantiate", None) or parser.instantiate_classes
    found: Namespace = make(parsed)
    return found


def spell_out_flags(parser: ArgumentParser, arguments: Sequence[str]) -> list[str]:
    """Arguments with ``--x`` and ``--no-x`` as ``--x=true`` and ``--x=false``.

    Holds for every option of type bool, or of bool and some words, of which one may follow.
    """
    flags = {
        option: _choices(action)
        for action in parser._actions
        if bool in _kinds(action)
        for option in action.option_strings
    }
    negated = {f"--no{sep}{option[2:]}": option for option in flags for sep in "-_"}
    words = [*arguments, ""]
    found: list[str] = []
    while len(words) > 1:
        word = words.pop(0)
        name, given, value = word.partition("=")
        if name in flags:
            if not given and words[0].lower() in flags[name]:
                value = words.pop(0)
            known = flags[name].get(value.lower(), value)
            found.append(f"{name}={known or 'true'}")
        elif name in negated and not given:
            found.append(f"{negated[name]}=false")
        else:
            found.append(word)
    return found


def _kinds(action: Any) -> tuple[Any, ...]:
    """The types that an option takes."""
    kind = getattr(action, "_typehint", None)
    return (kind, *get_args(kind))


def _choices(action: Any) -> dict[str, str]:
    """What may be written after the option, in lower case, and what it stands for."""
    literals = [kind for kind in _kinds(action) if get_origin(kind) is Literal]
    return {**_WORDS, **{str(c).lower(): str(c) for kind in literals for c in get_args(kind)}}
