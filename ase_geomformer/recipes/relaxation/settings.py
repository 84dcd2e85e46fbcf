"""What a relaxation is asked to do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ase_geomformer.settings.checks import check_settings, require

OptimizerName = Literal[
    "auto",
    "fire",
    "fire2",
    "bfgs",
    "bfgs-linesearch",
    "lbfgs",
    "lbfgs-linesearch",
    "precon-lbfgs",
]
CellChange = Literal["none", "full", "hydrostatic", "constant-volume"]

# Components of strain in Voigt's order, as ASE has them.
COMPONENTS = ("xx", "yy", "zz", "yz", "xz", "xy")
# A larger step could jump over the barrier to another minimum.
_LARGEST_STEP_A = 1.0


@dataclass(frozen=True)
class RelaxSettings:
    """Settings of a relaxation.

    Attributes
    ----------
    fmax : float
        Largest force on an atom in eV/Å that counts as none; forces that constraints take up do
        not count.
    smax_GPa : float
        Largest component of the stress, beside the external pressure, that counts as none, where
        the cell changes.
    steps : int
        Most steps to make.
    optimizer : str
        fire, fire2 (robust), bfgs, lbfgs (fewer steps), both with a line search, which needs
        energies as exact as the forces, or precon-lbfgs, preconditioned for large crystals. auto
        is bfgs up to 100 atoms, above that precon-lbfgs for crystals and lbfgs for the rest.
    cell : str
        What of the cell changes: none of it, all, its volume only, or its shape only.
    cell_mask : str or None
        The only components of strain that change, such as "xx yy xy" for a slab; the others stay.
    pressure_GPa : float
        External pressure.
    keep_symmetry : bool
        Make the structure exactly as symmetric as it is within symprec_A, and keep it so.
    symprec_A : float
        Distance in Å within which atoms count as symmetric to each other.
    maxstep_A : float
        Longest way of an atom in one step, in Å; of all atoms together for fire and fire2.
    """

    fmax: float = 0.01
    smax_GPa: float = 0.02
    steps: int = 500
    optimizer: OptimizerName = "auto"
    cell: CellChange = "none"
    cell_mask: str | None = None
    pressure_GPa: float = 0.0
    keep_symmetry: bool = False
    symprec_A: float = 0.01
    maxstep_A: float = 0.2

    def __post_init__(self) -> None:
        check_settings(
            self, positive=("fmax", "smax_GPa", "symprec_A", "maxstep_A"), not_negative=("steps",)
        )
        require(self, self.maxstep_A <= _LARGEST_STEP_A, "maxstep_A", f"at most {_LARGEST_STEP_A}")
        moves = self.cell != "none"
        require(self, moves or self.cell_mask is None, "cell_mask", "left out where cell = none")
        require(self, moves or self.pressure_GPa == 0, "pressure_GPa", "0 where cell = none")
        require(
            self,
            self.cell_mask is None or set(self.cell_mask.split()) <= set(COMPONENTS),
            "cell_mask",
            f"some of {' '.join(COMPONENTS)}",
        )
        require(self, self.cell_mask is None or self.cell == "full", "cell", "full for a cell_mask")

    @property
    def strain_mask(self) -> list[bool]:
        """Which components of strain may change, in Voigt's order."""
        chosen = COMPONENTS if self.cell_mask is None else tuple(self.cell_mask.split())
        return [name in chosen for name in COMPONENTS]


@dataclass(frozen=True)
class RelaxManySettings(RelaxSettings):
    """Settings of the relaxation of many structures.

    Attributes
    ----------
    steps : int
        Most steps to make with each structure.
    optimizer : str
        fire, bfgs or lbfgs, which evaluate a structure once in a step; auto is bfgs up to 100
        atoms and lbfgs above.
    cell_mask : str or None
        The only components of strain that change, such as "xx yy xy" for slabs; the others stay.
    keep_symmetry : bool
        Make every structure exactly as symmetric as it is within symprec_A, and keep it so.
    maxstep_A : float
        Longest way of an atom in one step, in Å; of all atoms together for fire.
    in_flight : int
        Structures under way at once; whenever one has converged, the next takes its place.

    See Also
    --------
    RelaxSettings : all other settings.
    """

    in_flight: int = 100

    def __post_init__(self) -> None:
        super().__post_init__()
        check_settings(self, positive=("in_flight",))
        require(
            self,
            self.optimizer in ("auto", "fire", "bfgs", "lbfgs"),
            "optimizer",
            "auto, fire, bfgs or lbfgs for many structures at once",
        )
