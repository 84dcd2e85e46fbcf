"""Parsing settings with jsonargparse: versions, and one way to write what is true or false."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import fields, is_dataclass
from types import NoneType
from typing import Any, Literal, get_args, get_origin, get_type_hints

from jsonargparse import ArgumentParser, Namespace

from ase_geomformer.settings.ranges import Range, range_of
from ase_geomformer.settings.renamed import former_names

_WORDS = {"true": "true", "yes": "true", "false": "false", "no": "false"}

FLAGS_HELP = "Options with {true,false} can also be given as --OPTION and --no-OPTION."


class SettingsParser(ArgumentParser):
    """Parser whose help tells the range of every number of the settings it takes.

    Attributes
    ----------
    setting_groups : list of str
        Dotted names of the groups of settings.
    renamed : dict of str to str
        The present name of each former name of an option.
    """

    setting_groups: list[str]
    renamed: dict[str, str]

    def add_class_arguments(self, theclass: type, *args: Any, **kwargs: Any) -> Any:
        added = super().add_class_arguments(theclass, *args, **kwargs)
        nested = args[0] if args else kwargs.get("nested_key")
        found = _groups(theclass, f"{nested}." if nested else "")
        self.setting_groups = [*getattr(self, "setting_groups", []), *found]
        self.rename(**former_names(theclass))
        ranges = dict(_ranges(theclass))
        for action in self._actions:
            if action.dest in ranges:
                # Each name once: another class must not add to it again.
                text, allowed = (action.help or "").rstrip("."), ranges[action.dest].brief
                # The range has the unit, too.
                text = text.replace(f" ({ranges[action.dest].unit})", "")
                action.help = text if allowed in text else f"{text} ({allowed}).".lstrip()
        return added

    def rename(self, **names: str) -> None:
        """Understand former names of options, each given with the present one."""
        self.renamed = {**getattr(self, "renamed", {}), **names}


def _ranges(settings: type, prefix: str = "") -> Iterator[tuple[str, Range]]:
    """The range of every number of a settings class, those of its groups by dotted names."""
    hints = get_type_hints(settings)
    for entry in fields(settings):
        kind, name = hints[entry.name], f"{prefix}{entry.name}"
        allowed = range_of(settings, entry.name)
        if allowed is not None:
            yield name, allowed
        elif isinstance(kind, type) and is_dataclass(kind):
            yield from _ranges(kind, f"{name}.")


def _groups(settings: type, prefix: str = "") -> Iterator[str]:
    """Dotted names of the settings that are groups of others."""
    hints = get_type_hints(settings)
    for entry in fields(settings):
        kind, name = hints[entry.name], f"{prefix}{entry.name}"
        if isinstance(kind, type) and is_dataclass(kind):
            yield name
            yield from _groups(kind, f"{name}.")


def instantiate(parser: ArgumentParser, parsed: Namespace) -> Namespace:
    """Parsed options with their settings classes made.

    Raises
    ------
    ValueError
        If a group of settings is a single value.
    """
    for name in getattr(parser, "setting_groups", ()):
        value = parsed.get(name)
        if not isinstance(value, Namespace):
            raise ValueError(f"--{name}: expected a mapping of settings. Got value: {value}")
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


def choices_of(action: Any) -> list[str]:
    """The words that an option of the parser may be given; none where it takes other values."""
    kinds = [kind for kind in _kinds(action) if kind is not Literal and kind is not NoneType]
    named = bool in kinds or any(get_origin(kind) is Literal for kind in kinds)
    listed = [*_choices(action)] if bool in kinds else [*_choices(action)][len(_WORDS) :]
    return [word for word in listed if word not in ("yes", "no")] if named else []


def _kinds(action: Any) -> tuple[Any, ...]:
    """The types that an option takes."""
    kind = getattr(action, "_typehint", None)
    return (kind, *get_args(kind))


def _choices(action: Any) -> dict[str, str]:
    """What may be written after the option, in lower case, and what it stands for."""
    literals = [kind for kind in _kinds(action) if get_origin(kind) is Literal]
    return {**_WORDS, **{str(c).lower(): str(c) for kind in literals for c in get_args(kind)}}
