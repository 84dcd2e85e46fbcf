"""Settings that had another name: the old one still works, with a note."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

T = TypeVar("T", bound=type)


def renamed(**names: str) -> Callable[[T], T]:
    """Let a settings dataclass take former names of its fields as keywords.

    Parameters
    ----------
    **names
        The present name of each former one.
    """

    def decorate(cls: T) -> T:
        initialize: Callable[..., None] = vars(cls)["__init__"]

        @functools.wraps(initialize)
        def take(self: Any, *arguments: Any, **keywords: Any) -> None:
            initialize(self, *arguments, **current_names(names, keywords, note=_warn))

        setattr(cls, "__init__", take)  # noqa: B010 - which mypy refuses as an assignment
        setattr(cls, "RENAMED", names)  # noqa: B010
        return cls

    return decorate


def former_names(settings: type) -> dict[str, str]:
    """The present name of each former name of a settings class's fields."""
    found: dict[str, str] = getattr(settings, "RENAMED", {})
    return found


def current_names(
    names: Mapping[str, str],
    given: Mapping[str, Any],
    note: Callable[[str, str], None] | None = None,
) -> dict[str, Any]:
    """A mapping with the present names of settings as keys.

    Parameters
    ----------
    names : mapping of str to str
        The present name of each former one.
    given : mapping
    note : callable, optional
        Told each former name that is there, and its present one.

    Raises
    ------
    ValueError
        If a setting is there under both names.
    """
    found = dict(given)
    for old in names.keys() & given.keys():
        new = names[old]
        if new in given:
            raise ValueError(f"{old} and {new} are the same setting; give {new} only")
        if note is not None:
            note(old, new)
        found[new] = found.pop(old)
    return found


def _warn(old: str, new: str) -> None:
    warnings.warn(f"the setting {old} is called {new} now", DeprecationWarning, stacklevel=4)
