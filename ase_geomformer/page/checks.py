"""The checks in ``result.json`` of a self-test or of learning, as lines of a table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

# Name, "passed" or another status, what was found, and what it means or may be.
Line = tuple[str, str, str, str]


def check_lines(checks: Any) -> Iterator[Line]:
    """The lines of a table; entries that are no checks are left out.

    Parameters
    ----------
    checks : object
        As ``result.json`` holds them.
    """
    for entry in checks if isinstance(checks, list) else []:
        if not isinstance(entry, Mapping):
            continue
        if "check" in entry:  # of a self-test
            figures = entry.get("figures") or []
            found = "; ".join(map(_figure, figures)) or str(entry.get("note") or "")
            status = str(entry.get("status"))
            yield str(entry["check"]), status, found, str(entry.get("meaning") or "")
        elif "name" in entry:  # of learning
            status = "passed" if entry.get("passed") is True else "failed"
            limit = f"at most {_number(entry.get('limit'))} {entry.get('unit') or ''}"
            yield str(entry["name"]), status, _number(entry.get("value")), limit


def _figure(figure: Any) -> str:
    if not isinstance(figure, Mapping):
        return str(figure)
    number = _number(figure.get("value"))
    return f"{figure.get('quantity')} {number} {figure.get('unit') or ''}".strip()


def _number(value: Any) -> str:
    if value is None:
        return "none"
    return f"{value:.3g}" if isinstance(value, float) else str(value)
