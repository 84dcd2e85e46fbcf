"""Results in an ASE database: one row for each structure, with its numbers."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ase.calculators.calculator import all_properties
from ase.calculators.singlepoint import SinglePointCalculator

from ase_geomformer.machine.files import expanded
from ase_geomformer.runs.plain import plain
from ase_geomformer.runs.result import Entry

SUFFIXES = (".db", ".json")


def check_database(path: str | os.PathLike[str]) -> Path:
    """Refuse what cannot be a database of ASE, before any work.

    Raises
    ------
    ValueError
        If the name does not end in .db or .json, or the file is no such database.
    FileNotFoundError
        If its folder is not there.
    """
    from ase.db import connect

    found = expanded(path)
    if found.suffix not in SUFFIXES:
        raise ValueError(f"the database {str(path)!r} must end in {' or '.join(SUFFIXES)}")
    if not found.parent.is_dir():
        raise FileNotFoundError(f"there is no folder {found.parent} for the database {found.name}")
    if found.exists():
        try:
            connect(found).count()
        except Exception as error:  # each backend has errors of its own
            raise ValueError(f"{str(path)!r} is no database of ASE: {error}") from error
    return found


def write_database(
    path: str | os.PathLike[str],
    entries: Sequence[Entry],
    *,
    recipe: str,
    run: str,
    origin: Mapping[str, Any],
) -> int:
    """Add a row for each structure, in place of those of the same run.

    ``name``, ``recipe``, ``run`` and numbers of the result are key-value pairs, by which rows are
    selected (``ase db FILE recipe=relax,converged=1``); all else is in the row's data.

    Parameters
    ----------
    path : path
    entries : sequence of Entry
    recipe, run : str
        What made them, and where its files are.
    origin : mapping
        Provenance.

    Returns
    -------
    int
        Number of rows.
    """
    from ase.db import connect

    database = connect(check_database(path))
    with database:
        old = [row.id for row in database.select(run=run, recipe=recipe)] if run else []
        if old:
            database.delete(old)
        for entry in entries:
            atoms = entry.atoms.copy()
            atoms.info = {}
            results = getattr(entry.atoms.calc, "results", {})
            known = {name: results[name] for name in all_properties if name in results}
            if known:
                atoms.calc = SinglePointCalculator(atoms, **known)
            content = plain(entry.numbers)
            pairs: dict[str, Any] = {"recipe": recipe, **_numbers(content)}
            pairs |= {key: value for key, value in (("name", entry.name), ("run", run)) if value}
            database.write(atoms, pairs, data={"result": content, "provenance": plain(origin)})
    return len(entries)


def _numbers(content: Mapping[str, Any]) -> dict[str, Any]:
    """Numbers at the top of a result, by names that a database takes."""
    from ase.db.core import reserved_keys

    found = {}
    for name, value in content.items():
        fits = isinstance(value, bool | int | float) and name.replace("_", "a").isalnum()
        if fits and name not in reserved_keys:
            found[name] = value
    return found
