"""Tables of numbers in CSV files."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np


def read_columns(path: Path) -> dict[str, np.ndarray]:
    """Columns of a table that has numbers only; NaN where a row leaves one out.

    Raises
    ------
    ValueError
        If a field is not a number.
    """
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    names = rows[0].keys() if rows else ()
    return {name: np.array([float(row[name] or "nan") for row in rows]) for name in names}
