"""Physical checks of a potential: measured by benchmarks, shown in its README.

``checks.json`` holds them by name, each with the checksum of the weights that it was measured on:
results for other weights are not shown.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from ase_geomformer.accuracy.readme.markdown import table
from ase_geomformer.accuracy.readme.naming import readable
from ase_geomformer.accuracy.readme.pictures import picture
from ase_geomformer.machine.bounded import read_json
from ase_geomformer.machine.files import write_text
from ase_geomformer.runs.plain import to_json

CHECKS_FILE = "checks.json"
SHORT_TRAINING = "short_training"
"""The one that is no physical check: what a short variant of the training gives."""


@dataclass(frozen=True)
class CardCheck:
    """One physical check.

    Attributes
    ----------
    sha256 : str
        Of the weights.
    title : str
    conditions : str
        One sentence: what was computed, and how.
    outcome : str
        One sentence; empty where the values say it.
    values : mapping of str to float
        What the potential gives, with units in the names.
    references : mapping of str to float
        What it should give, by the same names.
    reference : str
        What the references are; head of their column.
    picture : str
        File of the figure beside the card, if there is one.
    date : str
        ISO date of the measurement.
    """

    sha256: str
    title: str
    conditions: str
    outcome: str = ""
    values: Mapping[str, float | None] = field(default_factory=dict)
    references: Mapping[str, float | None] = field(default_factory=dict)
    reference: str = ""
    picture: str = ""
    date: str = ""


def read_checks(folder: str | os.PathLike[str]) -> dict[str, CardCheck]:
    """The checks of a potential's folder by name, for any weights; empty without the file."""
    path = Path(folder) / CHECKS_FILE
    if not path.exists():
        return {}
    content = read_json(path)
    return {name: CardCheck(**entry) for name, entry in content.items()}


def write_checks(folder: str | os.PathLike[str], checks: Mapping[str, CardCheck]) -> None:
    """Put checks into a potential's folder in place of older ones of the same names."""
    merged = {**read_checks(folder), **checks}
    content = {name: asdict(merged[name]) for name in sorted(merged)}
    write_text(Path(folder) / CHECKS_FILE, to_json(content))


def describe(check: CardCheck) -> str:
    """Title, outcome, conditions, values and picture as Markdown."""
    columns = [check.values, *([check.references] if check.references else [])]
    rows = [(*readable(name), *(_number(it.get(name)) for it in columns)) for name in check.values]
    head = ["what", "unit", "potential", check.reference][: 2 + len(columns)]
    parts = [
        f"### {check.title}",
        " ".join(filter(None, [check.outcome, check.conditions])),
        table(head, rows),
        picture(check.picture) if check.picture else "",
    ]
    return "\n\n".join(filter(None, parts))


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"
