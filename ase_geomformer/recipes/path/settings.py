"""Settings of reaction paths."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ase_geomformer.hessian import STEP
from ase_geomformer.recipes.interpolation import Interpolation
from ase_geomformer.recipes.modes.derivatives import HessianMethod
from ase_geomformer.settings.checks import check_settings
from ase_geomformer.settings.ranges import ranged
from ase_geomformer.settings.renamed import renamed
from ase_geomformer.settings.shown import Shown

BandOptimizer = Literal["fire", "ode"]


@renamed(relax_ends="relax")
@dataclass(frozen=True)
class NEBSettings(Shown):
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
    refine : bool
        Refine the highest image to the saddle point with its Hessian.
    saddle_fmax : float
        Force convergence threshold of the refined saddle point (eV/Å).
    saddle_steps : int
        Maximum number of steps of the refinement.
    vibrational_check : bool
        Check that the saddle point has exactly one imaginary mode.
    hessian : str
        exact, finite-difference, or auto: exact where possible.
    step_A : float
        Displacement of the finite differences (Å).
    checkpoint_interval : int
        Number of steps between checkpoints (images.traj), from which a run resumes.

    Raises
    ------
    ValueError
        If a value is out of range.
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
    refine: bool = True
    saddle_fmax: float = ranged(1e-3, 0, 1e9, "eV/Å", above=True)
    saddle_steps: int = ranged(30, 0, 10**9)
    vibrational_check: bool = True
    hessian: HessianMethod = "auto"
    step_A: float = ranged(STEP, 1e-5, 0.5, "Å")
    checkpoint_interval: int = ranged(10, 1, 10**9)

    def __post_init__(self) -> None:
        check_settings(self)
