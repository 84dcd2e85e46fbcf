"""Checks that the settings of several architectures share; each names the value it refuses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ase_geomformer.layers.cutoff import CUTOFFS
from ase_geomformer.layers.radial import RADIAL_BASES
from ase_geomformer.settings.checks import check_settings, require


def check_choices(settings: Any, tables: Mapping[str, Mapping[str, Any]]) -> None:
    """Raise ValueError unless each named field holds a key of its table."""
    for name, table in tables.items():
        if getattr(settings, name) not in table:
            raise ValueError(f"{name} is {getattr(settings, name)!r}; choose from {sorted(table)}")


def check_numbers(settings: Any) -> None:
    """Raise ValueError unless numbers are in range, and cutoff function and radial basis known."""
    check_settings(settings)
    check_choices(settings, {"radial_basis": RADIAL_BASES, "cutoff_function": CUTOFFS})


def keep_degrees(settings: Any) -> None:
    """Make the degrees a tuple; ValueError if they are no list."""
    given = settings.degrees
    require(settings, isinstance(given, list | tuple), "degrees", "a list of whole numbers")
    object.__setattr__(settings, "degrees", tuple(given))


def check_attention_widths(
    num_features: int, num_heads: int, degrees: Sequence[int], *, quarters: bool = True
) -> None:
    """Raise ValueError unless degrees are sorted and features split evenly among all heads.

    ``quarters`` asks for a quarter of the features to be a whole number as well.
    """
    if not degrees or list(degrees) != sorted(degrees) or degrees[0] < 0:
        raise ValueError(f"degrees must be sorted and not negative, not {degrees}")
    for divisor in (num_heads, len(degrees), 4 if quarters else 1):
        if num_features % divisor:
            raise ValueError(
                f"num_features={num_features} must be divisible by num_heads={num_heads}, by the "
                f"number of degrees ({len(degrees)}){' and by 4' if quarters else ''}"
            )
