"""Settings of intrinsic reaction coordinates."""

from __future__ import annotations

from dataclasses import dataclass

from ase_geomformer.recipes.transition_state.settings import RefinementSettings
from ase_geomformer.settings.ranges import ranged


@dataclass(frozen=True)
class IRCSettings(RefinementSettings):
    """Settings of an intrinsic reaction coordinate.

    Attributes
    ----------
    stride : float
        Distance between points of the path, in mass-weighted coordinates (Å amu^1/2).
    points : int
        Maximum number of points on each side.
    fmax : float
        Force (eV/Å) below which a side has come close to its minimum and ends.
    relax_ends : bool
        Relax both ends to the minima.
    ends_fmax : float
        Force convergence threshold of the ends (eV/Å).
    corrections : int
        Maximum number of corrections of each point.
    checkpoint_interval : int
        Number of points between checkpoints (points.npz), from which a run resumes.

    Raises
    ------
    ValueError
        If a value is out of range.

    See Also
    --------
    RefinementSettings, HessianSettings : all other settings.
    """

    stride: float = ranged(0.1, 1e-4, 10, "Å amu^1/2")
    points: int = ranged(200, 1, 10**6)
    fmax: float = ranged(0.02, 0, 1e9, "eV/Å", above=True)
    relax_ends: bool = True
    ends_fmax: float = ranged(0.005, 0, 1e9, "eV/Å", above=True)
    corrections: int = ranged(30, 1, 10**6)
    checkpoint_interval: int = ranged(10, 1, 10**9)
