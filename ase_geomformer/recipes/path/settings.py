"""What the search for a reaction path is asked to do."""

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
        Number of images, both ends included; that of the structures where a whole path is given.
    interpolation : str
        First path between two ends: idpp keeps atoms from running into each other, linear is the
        straight line.
    relax_ends : bool
        Relax both ends first.
    ends_fmax : float
        Largest force in eV/Å on an atom of a relaxed end.
    exchanged_atoms : bool
        The reaction exchanges atoms of the same element, as turning a methyl group by 120 degrees
        does; without it, ends in which atoms seem to be in another order are refused.
    spring_eV_per_A2 : float
        Spring constant between images.
    climb : bool
        Let the highest image climb to the saddle point.
    climb_below_eV_per_A : float
        Largest force on an image below which climbing begins.
    fmax : float
        Largest force in eV/Å on an atom of an image, springs included, that counts as none.
    steps : int
        Most steps to make.
    optimizer : str
        fire (robust), or ode: steps as long as an adaptive integrator allows.
    refine : bool
        Go on from the highest image to the saddle point itself, by its Hessian.
    saddle_fmax : float
        Largest force in eV/Å on an atom at a refined saddle point.
    saddle_steps : int
        Most steps of the refinement.
    vibrational_check : bool
        See whether there is exactly one imaginary mode at the saddle point.
    hessian : str
        exact, finite-difference, or auto: exact where that can be.
    step_A : float
        Displacement of the finite differences.
    checkpoint_interval : int
        Steps between writings of images.traj, from which a run resumes.

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
