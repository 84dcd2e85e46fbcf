"""The numbers of ``result.json`` as lines of a table, with units read from their names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

# Parts of names that are units.
_UNITS = {
    "eV": "eV", "meV": "meV", "A": "Å", "A2": "Å²", "A3": "Å³", "K": "K", "GPa": "GPa", "fs": "fs",
    "ps": "ps", "ns": "ns", "s": "s", "deg": "°", "THz": "THz", "cm": "cm", "cm3": "cm³",
    "atom": "atom", "amu": "amu", "W": "W", "mK": "(m K)", "g": "g", "e": "e", "kJ": "kJ",
    "mol": "mol", "percent": "%",
}  # fmt: skip
# Told elsewhere on the page.
_LEFT_OUT = {"provenance", "reason", "converged", "completed", "passed", "checks"}
# Names whose parts say too little by themselves: those of learning.
_PLAIN = {
    "calls": "calls of the teacher",
    "failed calls": "failed calls of the teacher",
    "teacher": "time of the teacher",
    "training": "time of training",
    "train mae": "force error, trained with",
    "validation mae": "force error, held back",
    "errors, use": "force error at the temperature of use",
    "errors, use committee": "force error of the committee's mean at the temperature of use",
    "errors, use frames": "test structures at the temperature of use",
    "errors, hot": "force error at the highest temperature",
    "errors, hot committee": "force error of the committee's mean at the highest temperature",
    "errors, hot frames": "test structures at the highest temperature",
    "errors, energy": "energy error",
    "errors, calibration": "force error over spread",
    "errors, factor before": "calibration factor before the tests",
    "errors, ratio": "force error over calibrated spread",
    "errors, exceedance": "share of unforeseen errors",
    "errors, correlation": "rank correlation of error and spread",
    "errors, spread calibration": "calibration factor of the committee",
    "errors, drift": "energy drift at constant energy",
    "errors, nve": "length of dynamics at constant energy",
    "errors, selftest": "self-test",
}
# Longer lists are left to the file.
_LONGEST = 9

Line = tuple[str, str, str]


def lines(content: Mapping[str, Any]) -> Iterator[Line]:
    """Name, value and unit of each number and word; long and nested lists are left out.

    Parameters
    ----------
    content : mapping
        As ``result.json`` holds it.
    """
    for name, value, unit in _lines(content, ""):
        yield _PLAIN.get(name, name), value, unit


def _lines(content: Mapping[str, Any], prefix: str) -> Iterator[Line]:
    for key, value in content.items():
        if (not prefix and key in _LEFT_OUT) or value is None:
            continue
        words, unit = split_unit(key)
        name = f"{prefix}{words}"
        if isinstance(value, Mapping) and {"mean", "std"} <= value.keys():
            yield name, _text(value["mean"]), unit
            yield f"standard deviation of {words}", _text(value["std"]), unit
        elif isinstance(value, Mapping):
            if not prefix:  # what is nested deeper is left to the file
                yield from _lines(value, "mean of " if key == "averages" else f"{name}, ")
        elif not isinstance(value, list):
            yield name, _text(value), unit
        elif len(value) <= _LONGEST and not any(isinstance(one, list | dict) for one in value):
            yield name, "  ".join(_text(one, digits=4) for one in value), unit


def split_unit(key: str) -> tuple[str, str]:
    """A name with its unit apart, as ``volume_A3_per_atom`` is (volume, Å³/atom)."""
    parts = key.split("_")
    start = len(parts)
    while start > 1 and (parts[start - 1] in _UNITS or parts[start - 1] == "per"):
        start -= 1
    tail = parts[start:]
    if not tail or tail[-1] == "per":
        return key.replace("_", " "), ""
    factors = [_product(part) for part in " ".join(tail).split("per")]
    return " ".join(parts[:start]), "/".join(factors)


def _product(names: str) -> str:
    return " ".join(_UNITS[name] for name in names.split()) or "1"


def _text(value: Any, digits: int = 6) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.{digits}g}" if isinstance(value, float) else str(value)
