"""Tables and lists of Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any


def table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """A table; empty where there are no rows."""
    body = [[_cell(entry) for entry in row] for row in rows]
    if not body:
        return ""
    return "\n".join(f"| {' | '.join(line)} |" for line in (head, ["---"] * len(head), *body))


def bullets(entries: Iterable[str]) -> str:
    """A list, one line for each entry."""
    return "\n".join(f"- {entry}" for entry in entries)


def known(value: float | None) -> float | str:
    """A value, or an empty cell where there is none."""
    return "" if value is None else value


def _cell(value: Any) -> str:
    text = f"{value:.3g}" if isinstance(value, float) else str(value)
    return text.replace("|", "\\|").replace("\n", " ")
