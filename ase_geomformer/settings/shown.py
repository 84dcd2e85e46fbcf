"""Settings as Jupyter shows them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import MISSING, dataclass, fields, is_dataclass
from typing import Any

from ase_geomformer.machine.notebook import table_html
from ase_geomformer.settings.ranges import range_of


@dataclass(frozen=True)
class Shown:
    """Base of settings classes: a table of names, values and units.

    A dataclass itself, as the parser takes classes with other bases for something else.
    """

    def _repr_html_(self) -> str:
        """All settings; those that are not the default are marked."""
        rows = [(name, str(value), unit, mark) for name, value, unit, mark in _rows(self, "")]
        return table_html(type(self).__name__, rows, head=("setting", "value", "unit", ""))


def _rows(settings: Any, prefix: str) -> Iterator[tuple[str, Any, str, str]]:
    """Name, value, unit and mark of each setting, nested ones under dotted names."""
    for entry in fields(settings):
        value = getattr(settings, entry.name)
        if is_dataclass(value):
            yield from _rows(value, f"{prefix}{entry.name}.")
            continue
        default = entry.default
        if entry.default_factory is not MISSING:
            default = entry.default_factory()
        limits = range_of(type(settings), entry.name)
        changed = default is not MISSING and value != default
        yield f"{prefix}{entry.name}", value, limits.unit if limits else "", "set" * changed
