"""Tables that scripts write into a page that is otherwise written by hand.

A table stands between ``<!-- NAME -->`` and ``<!-- end -->``, each on a line of its own.
"""

from __future__ import annotations

END = "<!-- end -->"


def with_table(page: str, name: str, table: str) -> str:
    """The page with this table between the marks of this name."""
    begin = f"<!-- {name} -->\n"
    before, mark, rest = page.partition(begin)
    _, end, after = rest.partition(END)
    if not (mark and end):
        raise SystemExit(f"the page has no table between {begin.strip()} and {END}")
    return f"{before}{mark}{table.strip()}\n{end}{after}"
