"""The words of a command line: lists as people type them, former names, hints for slips."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from types import UnionType
from typing import Any, Union, get_args, get_origin

from jsonargparse import ArgumentParser

_NUMBER = re.compile(r"[-+]?(\d|\.\d)\S*")


def join_lists(parser: ArgumentParser, words: Sequence[str]) -> list[str]:
    """Words with each list as one: ``--mesh 7 7 7``, ``--mesh 7,7,7`` as ``--mesh=[7, 7, 7]``."""
    kinds = {
        option: inner
        for action in parser._actions
        if (inner := _list_of(action)) is not None
        for option in action.option_strings
    }
    rest, found = list(words), list[str]()
    while rest:
        word = rest.pop(0)
        name, equals, value = word.partition("=")
        if name not in kinds:
            found.append(word)
            continue
        values = [value] if equals else []
        while not equals and rest and _is_value(rest[0]):
            values.append(rest.pop(0))
        text = _as_list(name, values, *kinds[name])
        found += [word, *([] if equals else values)] if text is None else [f"{name}={text}"]
    return found


def _is_value(word: str) -> bool:
    return not word.startswith("-") or _NUMBER.fullmatch(word) is not None


def _list_of(action: Any) -> tuple[bool, bool] | None:
    """Whether an option's list holds numbers, and must be a list; None for other options."""
    kind = getattr(action, "_typehint", None)
    kinds = get_args(kind) if get_origin(kind) in (Union, UnionType) else (kind,)
    lists = [one for one in kinds if get_origin(one) in (list, tuple)]
    if not lists:
        return None
    inner = {*get_args(lists[0])} - {Ellipsis}
    return inner <= {int, float}, str not in kinds


def _as_list(name: str, values: Sequence[str], numbers: bool, only_list: bool) -> str | None:
    """Values as one list for the parser; None where they are as it wants them."""
    text = " ".join(values)
    if not values or text.lower() in ("null", "none"):
        return None
    if text.startswith("["):  # of a shell, which has divided it
        return text
    if len(values) > 1 or only_list:
        parts = text.replace(",", " ").split() if only_list else list(values)
        if numbers and not all(_NUMBER.fullmatch(part) for part in parts):
            if len(values) == 1:
                return None  # a word that stands for a list
            raise ValueError(f"{name}: expected numbers, as in {name} 7 7 7. Got: {text}")
        return f"[{', '.join(parts if numbers else map(json.dumps, parts))}]"
    return None


def rename_options(
    words: Sequence[str], names: Mapping[str, str], note: Callable[[str, str], None]
) -> list[str]:
    """Words with the present names of options; ``note`` is told each former one."""
    found = []
    for word in words:
        name, equals, value = word.partition("=")
        negated = "no-" if name.startswith(("--no-", "--no_")) else ""
        old = name.removeprefix("--")[len(negated) :]
        if name.startswith("--") and old in names:
            note(f"--{negated}{old}", f"--{negated}{names[old]}")
            word = f"--{negated}{names[old]}{equals}{value}"
        found.append(word)
    return found


def hint(parser: ArgumentParser, words: Sequence[str], contents: Iterable[Any]) -> str:
    """What may have been meant by options and keys of files that there are not; empty if nothing.

    Parameters
    ----------
    parser : ArgumentParser
    words : sequence of str
        The command line.
    contents : iterable
        What files of options hold.
    """
    options = [option[2:] for option in parser._option_string_actions if option.startswith("--")]
    keys = [action.dest for action in parser._actions]
    given = [word.partition("=")[0][2:] for word in words if word.startswith("--")]
    meant = [nearest(name, options) for name in given if name not in options]
    shown = [f"--{name}" for name in meant if name]
    for content in contents:
        shown += filter(None, (nearest(key, keys) for key in _strange(content, keys)))
    return f"did you mean {' and '.join(dict.fromkeys(shown))}?" if shown else ""


def _strange(content: Any, known: Sequence[str], prefix: str = "") -> Iterator[str]:
    """Dotted names of the keys that are not known."""
    for key, value in content.items() if isinstance(content, Mapping) else ():
        name = f"{prefix}{key}"
        if any(one.startswith(f"{name}.") for one in known):
            yield from _strange(value, known, f"{name}.")
        elif name not in known:
            yield name


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that another one was most likely meant for.

    Names that differ in case and in - for _ are the same; a beginning stands for the shortest name
    that begins with it, with or without the groups that it is in.
    """
    plain = name.lower().replace("-", "_")
    table: dict[str, str] = {}
    for one in sorted(known, key=len):
        for form in (one, one.rpartition(".")[2]):
            table.setdefault(form.lower(), one)
    if plain in table:
        return table[plain]
    begun = [form for form in table if form.startswith(plain)] if len(plain) > 2 else []
    near = begun[:1] or difflib.get_close_matches(plain, table, n=1, cutoff=0.7)
    return table[near[0]] if near else None
