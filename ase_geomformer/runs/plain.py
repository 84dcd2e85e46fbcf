"""Results as plain values and JSON text."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any


def to_json(content: Any) -> str:
    """JSON text of numbers, arrays and dataclasses."""
    text = json.dumps(plain(content), indent=1, allow_nan=False, ensure_ascii=False) + "\n"
    # Letters stay readable; what a terminal would act upon does not reach it.
    return re.sub(r"[\x7f-\x9f\ud800-\udfff]", lambda one: f"\\u{ord(one.group()):04x}", text)


def plain(value: Any) -> Any:
    """Arrays, dataclasses and paths as lists, dictionaries and strings; NaN and inf as None."""
    if is_dataclass(value) and not isinstance(value, type):
        return plain(asdict(value))
    if isinstance(value, Mapping):
        return {str(key): plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [plain(entry) for entry in value]
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return str(value) if isinstance(value, Path) else value
