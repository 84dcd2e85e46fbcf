"""Reading files that others made: nothing in them is taken for granted.

Errors are ValueErrors that name the fault; whoever reads a file adds which one it is.
"""

from __future__ import annotations

import json
import re
import stat
from pathlib import Path
from typing import Any

# Levels of brackets in a card: ours have five.
DEEPEST = 50


def read_regular_file(path: Path, limit_bytes: float) -> bytes:
    """The content of a file, which pipes and devices, that may never end, are not.

    Links are followed, as caches of downloads are made of them.

    Raises
    ------
    OSError
        If it is not there or not allowed.
    ValueError
        If it is no regular file or too large to be read.
    """
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise ValueError("it is not a regular file")
    if status.st_size > limit_bytes:
        raise ValueError(
            f"its {status.st_size / 1e9:.3g} GB are more than the {limit_bytes / 1e9:.3g} GB that "
            "may be read"
        )
    return path.read_bytes()


def parse_json(content: bytes) -> Any:
    """JSON by the letter of its standard: no NaN, no infinity, no bottomless nesting."""

    def refuse(constant: str) -> None:
        raise ValueError(f"{constant} is not a number in JSON")

    text = content.decode("utf-8")
    # Beforehand: where the interpreter's recursion limit has been raised, deep nesting ends the
    # process instead of the reading.
    if _depth(text) > DEEPEST:
        raise ValueError("it is nested too deeply")
    return json.loads(text, parse_constant=refuse)


def _depth(text: str) -> int:
    """How deep the brackets of a JSON text go, those in strings left out."""
    deepest = depth = 0
    for bracket in re.findall(r"[\[\]{}]", re.sub(r'"(?:[^"\\]|\\.)*"', "", text)):
        depth += 1 if bracket in "[{" else -1
        deepest = max(deepest, depth)
    return deepest
