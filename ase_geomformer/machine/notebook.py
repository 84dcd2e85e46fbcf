"""Tables as Jupyter shows them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from ase_geomformer.machine.text import printable


def table_html(title: str, rows: Iterable[Sequence[str]], head: Sequence[str] = ()) -> str:
    """A table in HTML; all cells are text.

    Parameters
    ----------
    title : str
        Empty for none.
    rows : iterable of sequence of str
    head : sequence of str
        Names of the columns.
    """
    lines = ["<table>"]
    if title:
        lines.append(f"<caption>{_text(title)}</caption>")
    if head:
        lines.append("<tr>" + "".join(f"<th>{_text(name)}</th>" for name in head) + "</tr>")
    for row in rows:
        lines.append("<tr>" + "".join(f"<td>{_text(cell)}</td>" for cell in row) + "</tr>")
    return "\n".join([*lines, "</table>"])


def _text(cell: str) -> str:
    return escape(printable(cell))
