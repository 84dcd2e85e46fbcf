"""Settings of a run to resume, compared with those that are given now."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from typing import Any

from ase_geomformer.runs.plain import plain
from ase_geomformer.settings.renamed import current_names, former_names

# What a run was started from that does not change its result: names of files, which are checked
# by their content, how fast the potential is evaluated, and what is said of strange structures.
NOT_COMPARED = frozenset({
    "structure", "index", "final", "device", "compile", "neighbors", "skin", "keep_memory",
    "domain",
})  # fmt: skip


def check_same(
    stored: Mapping[str, Any], settings: Any, *, free: Iterable[str] = (), run: str = "to resume"
) -> None:
    """Refuse settings other than those of the run to resume.

    A setting that the run's files do not know counts as having its default: it is newer than they
    are.

    Parameters
    ----------
    stored : mapping
        As a file holds them.
    settings : dataclass
    free : iterable of str
        Settings that may change; nested ones as ``outer.inner``.
    run : str
        Which run it is, for the message.

    Raises
    ------
    ValueError
        If one differs; the message names it.
    """
    allowed = set(free)
    for name, then, now in _compared(plain(stored), settings):
        parts = name.split(".")
        above = {".".join(parts[:count]) for count in range(1, len(parts) + 1)}
        differ = then != now or isinstance(then, bool) != isinstance(now, bool)
        if differ and not above & allowed:
            raise _changed(name, then, now, run, allowed)


def check_same_inputs(
    stored: Mapping[str, Any],
    settings: Any,
    inputs: Mapping[str, Any],
    *,
    free: Iterable[str] = (),
    run: str = "to resume",
) -> None:
    """Refuse other inputs than those of the run to resume, :data:`NOT_COMPARED` aside.

    Parameters
    ----------
    stored : mapping
        Settings and inputs, as a file holds them.
    settings : dataclass
        Whose names are not looked at.
    inputs : mapping
        What else a run is started from.
    free : iterable of str
        Settings that may change, for the message.
    run : str
        Which run it is, for the message.

    Raises
    ------
    ValueError
        If one differs; the message names it.
    """
    given = plain(inputs)
    own = {entry.name for entry in fields(settings)}
    for name in sorted((given.keys() & stored.keys()) - own - NOT_COMPARED):
        if stored[name] != given[name]:
            raise _changed(name, stored[name], given[name], run, free)


def _compared(
    stored: Mapping[str, Any], settings: Any, prefix: str = ""
) -> Iterator[tuple[str, Any, Any]]:
    """Name of each setting, with its stored and its present value."""
    stored = current_names(former_names(type(settings)), stored)
    for entry in fields(settings):
        name, now = f"{prefix}{entry.name}", getattr(settings, entry.name)
        then = stored.get(entry.name, _default(entry, now))
        if is_dataclass(now) and isinstance(then, Mapping):
            yield from _compared(then, now, f"{name}.")
        else:
            yield name, then, plain(now)


def _default(entry: Field[Any], otherwise: Any) -> Any:
    if entry.default is not MISSING:
        return plain(entry.default)
    return plain(otherwise if entry.default_factory is MISSING else entry.default_factory())


def _changed(name: str, then: Any, now: Any, run: str, free: Iterable[str]) -> ValueError:
    listed = ", ".join(sorted(free))
    return ValueError(
        f"cannot resume: {name} was {then!r} in the run {run} and is {now!r} now; give the same "
        "settings, or start a new run in another folder"
        + (f". Only {listed} may change" if listed else "")
    )
