"""Settings of intrinsic reaction coordinates."""

from __future__ import annotations

from dataclasses import dataclass

from ase_geomformer.hessian import STEP
from ase_geomformer.recipes.modes.derivatives import HessianMethod
from ase_geomformer.settings.checks import check_settings
from ase_geomformer.settings.ranges import ranged
from ase_geomformer.settings.shown import Shown


@dataclass(frozen=True)
class IRCSettings(Shown):
    """Settings of an intrinsic reaction coordinate.

    Attributes
    ----------
    stride : float
        Distance between points of the path, in mass-weighted coordinates (Å amu^1/2).
    points : int
        Maximum number of points on each side.
    fmax : float
        Force (eV/Å) below which a side has come close to its minimum and ends.
    refine : bool
        Refine the structure to the saddle point first.
    saddle_fmax : float
        Force convergence threshold of the saddle point (eV/Å).
    saddle_steps : int
        Maximum number of steps of the refinement.
    relax_ends : bool
        Relax both ends to the minima.
    ends_fmax : float
        Force convergence threshold of the ends (eV/Å).
    corrections : int
        Maximum number of corrections of each point.
    hessian : str
        exact, finite-difference, or auto: exact where possible; of the saddle point only.
    step_A : float
        Displacement of the finite differences (Å).
    checkpoint_interval : int
        Number of points between checkpoints (points.npz), from which a run resumes.

    Raises
    ------
    ValueError
        If a value is out of range.
    """

    stride: float = ranged(0.1, 1e-4, 10, "Å amu^1/2")
    points: int = ranged(200, 1, 10**6)
    fmax: float = ranged(0.02, 0, 1e9, "eV/Å", above=True)
    refine: bool = True
    saddle_fmax: float = ranged(1e-3, 0, 1e9, "eV/Å", above=True)
    saddle_steps: int = ranged(30, 0, 10**9)
    relax_ends: bool = True
    ends_fmax: float = ranged(0.005, 0, 1e9, "eV/Å", above=True)
    corrections: int = ranged(30, 1, 10**6)
    hessian: HessianMethod = "auto"
    step_A: float = ranged(STEP, 1e-5, 0.5, "Å")
    checkpoint_interval: int = ranged(10, 1, 10**9)

    def __post_init__(self) -> None:
        check_settings(self)
