"""The optimizers by name; all of them are ASE's."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

from ase import Atoms
from ase.optimize import BFGS, FIRE, FIRE2, LBFGS, BFGSLineSearch, LBFGSLineSearch
from ase.optimize.precon import PreconLBFGS

from ase_geomformer.recipes.relaxation.settings import RelaxSettings

# The Hessian of BFGS is diagonalised in every step, which costs more than the forces above this.
LARGEST_FOR_BFGS = 100


def _preconditioned(atoms: Any, **options: Any) -> PreconLBFGS:
    return PreconLBFGS(atoms, precon="Exp", **options)


OPTIMIZERS: dict[str, Callable[..., Any]] = {
    "fire": FIRE,
    "fire2": FIRE2,
    "bfgs": BFGS,
    "bfgs-linesearch": BFGSLineSearch,
    "lbfgs": LBFGS,
    "lbfgs-linesearch": LBFGSLineSearch,
    "precon-lbfgs": _preconditioned,
}


def choose(name: str, atoms: Atoms, *, batched: bool = False) -> str:
    """The optimizer that a name stands for with a structure."""
    if name != "auto":
        return name
    if len(atoms) <= LARGEST_FOR_BFGS:
        return "bfgs"
    return "precon-lbfgs" if atoms.pbc.all() and not batched else "lbfgs"


def make(name: str, coordinates: Any, settings: RelaxSettings) -> Any:
    """An optimizer of atoms, or of atoms and cell."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # of ASE to itself
        return OPTIMIZERS[name](coordinates, logfile=None, maxstep=settings.maxstep_A)
