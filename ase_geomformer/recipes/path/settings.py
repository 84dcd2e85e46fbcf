"""Settings of reaction paths."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ase_geomformer.recipes.interpolation import Interpolation
from ase_geomformer.recipes.transition_state.settings import RefinementSettings
from ase_geomformer.settings.ranges import ranged
from ase_geomformer.settings.renamed import renamed

BandOptimizer = Literal["fire", "ode"]


@renamed(relax_ends="relax")
@dataclass(frozen=True)
class NEBSettings(RefinementSettings):
    """Settings of a nudged elastic band.

    Attributes
    ----------
    images : int
        Number of images, both ends included; ignored where a whole path is given.
    interpolation : str
        Initial path between two ends: idpp (image-dependent pair potential) or linear.
    relax : bool
        Relax both ends first.
    ends_fmax : float
        Force convergence threshold of the ends (eV/Å).
    exchanged_atoms : bool
        Accept ends in which equal atoms have changed places, as in a methyl rotation by 120
        degrees; otherwise they are refused as a wrong order of atoms.
    spring_eV_per_A2 : float
        Spring constant between images (eV/Å²).
    climb : bool
        Use a climbing image.
    climb_below_eV_per_A : float
        Force on the band below which the highest image starts to climb (eV/Å).
    fmax : float
        Force convergence threshold of the band, springs included (eV/Å).
    steps : int
        Maximum number of steps.
    optimizer : str
        fire (robust) or ode (adaptive steps, ASE's NEBOptimizer).
    vibrational_check : bool
        Check that the saddle point has exactly one imaginary mode.
    checkpoint_interval : int
        Number of steps between checkpoints (images.traj), from which a run resumes.

    Raises
    ------
    ValueError
        If a value is out of range.

    See Also
    --------
    RefinementSettings, HessianSettings : all other settings.
    """

    # Two ends and one between.
    images: int = ranged(9, 3, 1001)
    interpolation: Interpolation = "idpp"
    relax: bool = True
    ends_fmax: float = ranged(0.01, 0, 1e9, "eV/Å", above=True)
    exchanged_atoms: bool = False
    spring_eV_per_A2: float = ranged(0.1, 0, 10000, "eV/Å²", above=True)
    climb: bool = True
    climb_below_eV_per_A: float = ranged(0.3, 0, 1e9, "eV/Å", above=True)
    fmax: float = ranged(0.03, 0, 1e9, "eV/Å", above=True)
    steps: int = ranged(500, 0, 10**9)
    optimizer: BandOptimizer = "fire"
    vibrational_check: bool = True
    checkpoint_interval: int = ranged(10, 1, 10**9)

    def __post_init__(self) -> None:
        super().__post_init__()
