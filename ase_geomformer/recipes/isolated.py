"""Energies of isolated atoms, and whether a calculator knows them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from ase import Atoms

from ase_geomformer.evaluate import Evaluator

# Empty space around an isolated atom on every side, beyond the reach of any potential's cutoff.
VACUUM_A = 20.0


def isolated_atom(symbol: str) -> Atoms:
    """An atom on its own, in a box for calculators that need one."""
    return Atoms(symbol, cell=np.full(3, 2.0 * VACUUM_A), positions=[np.full(3, VACUUM_A)])


def atom_energies(evaluator: Evaluator, symbols: Iterable[str]) -> dict[str, float]:
    """Energy in eV that a calculator gives for an isolated atom of each element."""
    names = list(symbols)
    found: list[dict[str, Any]] = evaluator([isolated_atom(name) for name in names], ("energy",))
    return {name: float(one["energy"]) for name, one in zip(names, found, strict=True)}


def extrapolated(evaluator: Evaluator) -> str:
    """What is to be said of a trained potential's energies of isolated atoms; "" of others."""
    potential = getattr(evaluator, "potential", None)
    if potential is None or potential.card is None:
        return ""
    return (
        f"the energies of isolated atoms are what {potential.card.name!r} extrapolates, far from "
        "its training data unless that has isolated atoms: give atom_energies"
    )
