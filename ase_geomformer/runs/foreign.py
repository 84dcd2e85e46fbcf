"""Structures of other packages, taken where an ``ase.Atoms`` is.

pymatgen's Structure and Molecule say themselves what they are for ASE; pymatgen is not imported.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

from ase import Atoms

_P = ParamSpec("_P")
_R = TypeVar("_R")


def as_atoms(structure: Any) -> Any:
    """A structure of pymatgen as ``ase.Atoms``; anything else as it is.

    Lists and tuples are converted entry by entry.

    Raises
    ------
    ValueError
        If sites are occupied in part.
    """
    if isinstance(structure, list | tuple):
        return type(structure)(as_atoms(entry) for entry in structure)
    if isinstance(structure, Atoms) or not hasattr(structure, "to_ase_atoms"):
        return structure
    if not getattr(structure, "is_ordered", True):
        raise ValueError(
            "the structure has sites that are occupied in part; choose an ordered one of it, such "
            "as by pymatgen's OrderDisorderedStructureTransformation"
        )
    return Atoms(structure.to_ase_atoms())  # pymatgen's own subclass is left behind


def takes_pymatgen(place: int = 0) -> Callable[[Callable[_P, _R]], Callable[_P, _R]]:
    """Have a function take structures of pymatgen, too, as argument ``place`` or by name."""

    def decorate(function: Callable[_P, _R]) -> Callable[_P, _R]:
        @functools.wraps(function)
        def taking(*args: _P.args, **kwargs: _P.kwargs) -> _R:
            given: Any = list(args)
            given[place : place + 1] = [as_atoms(entry) for entry in given[place : place + 1]]
            named: Any = {name: as_atoms(value) for name, value in kwargs.items()}
            return function(*given, **named)

        return taking

    return decorate
