"""Ranges of numbers in settings: declared with the default, told in help and errors."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

_KEY = "range"
_OUT_OF_REACH = 1e9
# Rows of a table of temperatures, or the like.
MOST_ROWS = 100_000


@dataclass(frozen=True)
class Range:
    """The numbers that a setting may take.

    The ends are absurd rather than unwise: a number outside is a slip or an attack, and would take
    all memory, all time, or overflow.

    Attributes
    ----------
    low, high : float
        Smallest and largest number.
    unit : str
    above : bool
        Whether ``low`` itself is excluded.
    """

    low: float
    high: float
    unit: str = ""
    above: bool = False

    def __contains__(self, value: float) -> bool:
        return (self.low < value if self.above else self.low <= value) and value <= self.high

    def __str__(self) -> str:
        unit = f" {self.unit}" if self.unit else ""
        if self.above and self.low == 0:
            return f"positive and at most {_text(self.high)}{unit}"
        if self.low == 0:
            return f"zero or positive, and at most {_text(self.high)}{unit}"
        above = "above " if self.above else ""
        return f"from {above}{_text(self.low)} to {_text(self.high)}{unit}"

    @property
    def brief(self) -> str:
        """The range for help texts, without an upper end that is out of reach."""
        low = f"{'>' if self.above else '≥'} {_text(self.low)}"
        high = "" if self.high >= _OUT_OF_REACH else f", ≤ {_text(self.high)}"
        return f"{low}{high} {self.unit}".rstrip()


def _text(value: float) -> str:
    short = f"{value:g}"
    return short if float(short) == value else repr(value)


def ranged(default: Any, low: float, high: float, unit: str = "", *, above: bool = False) -> Any:
    """The default of a field of a settings dataclass whose numbers lie in a range.

    Parameters
    ----------
    default : number, list, string or None
        A value that is no number, such as "auto" or None, is not compared; of a list, each number
        is.
    low, high : float
    unit : str
    above : bool
        Whether ``low`` itself is excluded.
    """
    return field(default=default, metadata={_KEY: Range(low, high, unit, above)})


def range_of(settings: type, name: str) -> Range | None:
    """The range of a field, that of a base class where a subclass only changes the default."""
    for cls in settings.__mro__:
        declared = vars(cls).get("__dataclass_fields__", {}).get(name)
        if declared is not None and _KEY in declared.metadata:
            found: Range = declared.metadata[_KEY]
            return found
    return None
