"""Settings of searches for transition states."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ase_geomformer.recipes.modes.settings import HessianSettings
from ase_geomformer.settings.checks import require
from ase_geomformer.settings.ranges import ranged

SearchMethod = Literal["auto", "hessian", "dimer", "sella"]


@dataclass(frozen=True)
class RefinementSettings(HessianSettings):
    """Settings of the refinement of a structure to the saddle point next to it.

    Attributes
    ----------
    refine : bool
        Refine the structure to the saddle point with its Hessian.
    saddle_fmax : float
        Force convergence threshold of the saddle point (eV/Å).
    saddle_steps : int
        Maximum number of steps of the refinement.

    See Also
    --------
    HessianSettings : all other settings.
    """

    refine: bool = True
    saddle_fmax: float = ranged(1e-3, 0, 1e9, "eV/Å", above=True)
    saddle_steps: int = ranged(30, 0, 10**9)


@dataclass(frozen=True)
class SaddleSettings(HessianSettings):
    """Settings of the search for a transition state from one structure.

    Attributes
    ----------
    method : str
        hessian (follows an eigenvector of the Hessian), dimer (ASE's dimer, whose result is refined
        with the Hessian), sella (the package Sella, extra sella), or auto: hessian up to 60 atoms
        that can move, then dimer.
    mode : int
        Number of the vibration to follow uphill, where no direction is given: 1 is the softest.
    displacement_A : float
        First displacement of the atom that moves most (Å), where the curvature along the direction
        is positive, as at a minimum; negative for the opposite direction.
    fmax : float
        Force convergence threshold (eV/Å).
    steps : int
        Maximum number of steps.
    maxstep_A : float
        Maximum displacement of an atom per step (Å); Sella has a trust radius of its own.
    vibrational_check : bool
        Check that the saddle point has exactly one imaginary mode.
    checkpoint_interval : int
        Number of steps between checkpoints (search.npz), from which a run resumes.

    Raises
    ------
    ValueError
        If a value is out of range.

    See Also
    --------
    HessianSettings : all other settings.
    """

    method: SearchMethod = "auto"
    mode: int = ranged(1, 1, 10**6)
    displacement_A: float = ranged(0.1, -2, 2, "Å")
    fmax: float = ranged(1e-3, 0, 1e9, "eV/Å", above=True)
    steps: int = ranged(200, 0, 10**9)
    maxstep_A: float = ranged(0.1, 1e-4, 1, "Å")
    vibrational_check: bool = True
    checkpoint_interval: int = ranged(5, 1, 10**9)

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self, self.displacement_A != 0, "displacement_A", "other than zero")
