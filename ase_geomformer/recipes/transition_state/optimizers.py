"""Optimizers of other packages that climb to saddle points by forces alone."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from typing import Any, Literal

import numpy as np
from ase import Atoms
from ase.constraints import FixAtoms, FixCartesian
from ase.mep import DimerControl, MinModeAtoms, MinModeTranslate
from ase.optimize.optimize import Optimizer

from ase_geomformer.recipes.interpolation import is_free_molecule

# The optimizer of a structure, and what tells the direction (N, 3) that it follows, None if it
# does not tell.
Climber = tuple[Optimizer, Callable[[], "np.ndarray | None"]]
# Constraints that Sella holds by itself.
_SELLA_HOLDS = (FixAtoms, FixCartesian)


def check_sella(atoms: Atoms) -> None:
    """Refuse what Sella cannot do, before any work.

    Raises
    ------
    ImportError
        If it is not installed.
    ValueError
        If it does not know a constraint.
    """
    if find_spec("sella") is None:
        raise ImportError("method = sella needs Sella: pip install 'ase-geomformer[sella]'")
    other = {type(one).__name__ for one in atoms.constraints if not isinstance(one, _SELLA_HOLDS)}
    if other:
        raise ValueError(
            f"Sella holds FixAtoms and FixCartesian, not {', '.join(sorted(other))}; choose method "
            "= hessian or dimer"
        )


def dimer(atoms: Atoms, direction: np.ndarray, maxstep_A: float) -> Climber:
    """ASE's dimer (Henkelman and Jónsson, J. Chem. Phys. 111, 7010 (1999))."""
    control = DimerControl(
        logfile=None,
        eigenmode_logfile=None,
        maximum_translation=maxstep_A,
        initial_eigenmode_method="displacement",
        displacement_method="vector",
    )
    pair = MinModeAtoms(atoms, control, eigenmodes=[direction / np.linalg.norm(direction)])
    optimizer = MinModeTranslate(pair, logfile=None, trajectory=None)
    return optimizer, lambda: np.array(pair.get_eigenmode())


def sella(atoms: Atoms, direction: np.ndarray, maxstep_A: float) -> Climber:
    """Sella (Hermes et al., J. Chem. Theory Comput. 18, 6974 (2022)).

    In internal coordinates where the structure is a free molecule. It finds the direction by
    itself, from the forces of the structure, which has been displaced.
    """
    from sella import Sella

    how: dict[str, Any] = {}
    if is_free_molecule(atoms) and len(atoms) > 2:
        how = {"internal": True, "allow_fragments": True}
    elif atoms.constraints:  # beside which Sella would hold the whole, too
        how = {"proj_trans": False, "proj_rot": False}
    optimizer: Any = Sella(atoms, order=1, logfile=None, trajectory=None, **how)
    return optimizer, lambda: None


CLIMBERS: dict[Literal["dimer", "sella"], Callable[[Atoms, np.ndarray, float], Climber]] = {
    "dimer": dimer,
    "sella": sella,
}
