"""Settings of reaction paths."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ase_geomformer.hessian import STEP
from ase_geomformer.recipes.modes.normal_modes import HessianMethod
from ase_geomformer.settings.checks import check_settings, require

Interpolation = Literal["idpp", "linear"]
BandOptimizer = Literal["fire", "ode"]


@dataclass(frozen=True)
class NEBSettings:
    """Settings of a nudged elastic band.

    Attributes
    ----------
    images : int
        Number of images, both ends included; ignored where a whole path is given.
    interpolation : str
        Initial path between two ends: idpp (image-dependent pair potential) or linear.
    relax_ends : bool
        Relax both ends first.
    ends_fmax : float
        Force convergence threshold of the ends (eV/Å).
    exchanged_atoms : bool
        Accept ends in which equal atoms have changed places, as in a methyl rotation by 120
        degrees; otherwise they are refused as a wrong order of atoms.
    spring_eV_per_A2 : float
        Spring constant between images (eV/Å^2).
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

    images: int = 9
    interpolation: Interpolation = "idpp"
    relax_ends: bool = True
    ends_fmax: float = 0.01
    exchanged_atoms: bool = False
    spring_eV_per_A2: float = 0.1
    climb: bool = True
    climb_below_eV_per_A: float = 0.3
    fmax: float = 0.03
    steps: int = 500
    optimizer: BandOptimizer = "fire"
    refine: bool = True
    saddle_fmax: float = 1e-3
    saddle_steps: int = 30
    vibrational_check: bool = True
    hessian: HessianMethod = "auto"
    step_A: float = STEP
    checkpoint_interval: int = 10

    def __post_init__(self) -> None:
        check_settings(
            self,
            positive=(
                "ends_fmax", "spring_eV_per_A2", "climb_below_eV_per_A", "fmax", "saddle_fmax",
                "step_A", "checkpoint_interval",
            ),
            not_negative=("steps", "saddle_steps"),
        )  # fmt: skip
        require(self, self.images >= 3, "images", "at least 3: two ends and one between")
