"""``ase-geomformer data``."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jsonargparse import ArgumentParser, Namespace

USAGE = "[list | get NAME ... [--from FOLDER]] [--json]"
DESCRIPTION = (
    "Public data sets of labelled structures. 'list' (the default) shows them in a table, with "
    "licence and origin. 'get NAME' fetches a set, or one file of it (rmd17/rmd17_ethanol.npz), "
    "from its origin, checks that it is what was published, and puts it into your own folder of "
    "data sets, where settings of trainings find it by that name."
)


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "action", nargs="?", default="list", choices=["list", "get"], help="What to do."
    )
    parser.add_argument(
        "names", nargs="*", default=[], metavar="NAME", help="Names of data sets or of their files."
    )
    parser.add_argument(
        "--from", type=str | None, default=None, metavar="FOLDER",
        help="get: folder or address with the files of the origin, instead of the origin.",
    )  # fmt: skip
    parser.add_argument(
        "--overwrite", type=bool, default=False, help="get: fetch files that are there already."
    )
    parser.add_argument("--json", type=bool, default=False, help="Print as JSON.")


def run(options: Namespace) -> int:
    """Do what the options say and return the exit code."""
    if options.action == "get":
        return _get(options)
    if options.names or options["from"] is not None or options.overwrite:
        raise ValueError("names, --from and --overwrite are for data get, not for list")
    return _list(options.json)


def _get(options: Namespace) -> int:
    from ase_geomformer.data.public.get import asked, get_files
    from ase_geomformer.data.public.places import own_folder

    if not options.names:
        raise ValueError("data get takes the NAMEs of data sets, and none is given")
    for name in options.names:  # A wrong name is an error before any is fetched.
        asked(name)
    made: dict[Any, bool] = {}
    for name in options.names:
        made |= get_files(
            name, own_folder(), options["from"], overwrite=options.overwrite, tell=_tell
        )
    if options.json:
        _print_json([{"path": path, "fetched": fetched} for path, fetched in made.items()])
        return 0
    for path, fetched in made.items():
        name = f"{path.parent.name}/{path.name}"
        sys.stdout.write(f"{name}: {'now' if fetched else 'already'} in {path.parent}\n")
    return 0


def _list(as_json: bool) -> int:
    from ase_geomformer.data.public.places import here
    from ase_geomformer.data.public.rows import DATA_SETS

    rows: list[dict[str, Any]] = [
        {
            "name": row.name,
            "summary": row.summary,
            "labels": row.labels,
            "licence": row.licence,
            "citation": row.citation,
            "origin": row.page,
            "files": [file.name for file in row.files],
            "on_this_machine": here(row),
        }
        for row in DATA_SETS.values()
    ]
    if as_json:
        _print_json(rows)
        return 0
    from ase_geomformer.machine.display import Console, Table

    table = Table("name", "what", "labels", "licence", "here", title="Public data sets")
    for entry in rows:
        counts = f"{len(entry['on_this_machine'])} of {len(entry['files'])}"
        table.add_row(entry["name"], entry["summary"], entry["labels"], entry["licence"], counts)
    Console().print(table)
    return 0


def _tell(line: str) -> None:
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


def _print_json(content: Any) -> None:
    from ase_geomformer.runs.plain import to_json

    sys.stdout.write(to_json(content))
