"""``ase-geomformer cache``."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jsonargparse import ArgumentParser, Namespace

    from ase_geomformer.machine.cache import Cache

USAGE = "[list | clear] [--json]"
DESCRIPTION = (
    "The cache of what takes long to make: compiled code and radial tables of potentials. 'list' "
    "(the default) shows what is there, the last used first, and 'clear' removes it all. The cache "
    "is in $ASE_GEOMFORMER_CACHE, or in ase-geomformer in your cache folder ($XDG_CACHE_HOME or "
    "~/.cache). It is bounded in size: what has not been used for longest makes room."
)


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "action", nargs="?", default="list", choices=list(ACTIONS), help="What to do."
    )
    parser.add_argument("--json", type=bool, default=False, help="Print as JSON.")


def run(options: Namespace) -> int:
    """Do what the options say and return the exit code."""
    from ase_geomformer.machine.cache import Cache

    ACTIONS[options.action](Cache(), options.json)
    return 0


def _list(cache: Cache, as_json: bool) -> None:
    entries = cache.entries()
    if as_json:
        _print_json(
            {
                "folder": cache.folder,
                "limit_bytes": cache.limit_bytes,
                "entries": [
                    {"key": e.key, "size_bytes": e.size_bytes, "used": e.used, **e.about}
                    for e in entries
                ],
            }
        )
        return
    from datetime import datetime

    from ase_geomformer.machine.display import Console, Table, Text
    from ase_geomformer.machine.text import printable

    total = sum(entry.size_bytes for entry in entries)
    title = f"{cache.folder}: {total / 1e6:.1f} of {cache.limit_bytes / 1e6:.0f} MB"
    table = Table("potential", "what", "dtype", "MB", "last used", title=title)
    for entry in entries:
        described = [str(entry.about.get(name, "")) for name in ("potential", "kind", "dtype")]
        table.add_row(
            *(Text(printable(text)) for text in described),
            f"{entry.size_bytes / 1e6:.1f}",
            f"{datetime.fromtimestamp(entry.used):%Y-%m-%d %H:%M}",
        )
    Console().print(table)


def _clear(cache: Cache, as_json: bool) -> None:
    freed = cache.clear()
    if as_json:
        _print_json({"folder": cache.folder, "freed_bytes": freed})
    else:
        sys.stdout.write(f"{freed / 1e6:.1f} MB removed from {cache.folder}\n")


def _print_json(content: dict[str, Any]) -> None:
    from ase_geomformer.runs.plain import to_json

    sys.stdout.write(to_json(content))


ACTIONS = {"list": _list, "clear": _clear}
