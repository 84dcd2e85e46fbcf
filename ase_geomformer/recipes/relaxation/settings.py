"""Settings of relaxations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ase_geomformer.settings.checks import check_settings, require
from ase_geomformer.settings.ranges import ranged
from ase_geomformer.settings.shown import Shown

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
# What a relaxation takes, more or less, where the time of one is predicted.
USUAL_STEPS = 50
# A larger step could jump over the barrier to another minimum.
_LARGEST_STEP_A = 1.0


@dataclass(frozen=True)
class RelaxSettings(Shown):
    """Settings of a relaxation.

    Attributes
    ----------
    fmax : float
        Force convergence threshold (eV/Å): the largest force on an atom, constraints applied.
    smax_GPa : float
        Stress convergence threshold (GPa): the largest component of the stress minus the external
        pressure, where the cell changes.
    steps : int
        Maximum number of steps.
    optimizer : str
        fire, fire2 (robust), bfgs, lbfgs (fewer steps), bfgs-linesearch, lbfgs-linesearch (need
        energies consistent with the forces to many digits) or precon-lbfgs (preconditioned, for
        large crystals). auto: bfgs up to 100 atoms, then precon-lbfgs for crystals and lbfgs for
        molecules and slabs.
    cell : str
        How the cell may change: none, full, hydrostatic (volume only) or constant-volume (shape
        only).
    cell_mask : str or None
        Components of strain that may change, such as "xx yy xy" for a slab; all when left out.
    pressure_GPa : float
        External pressure (GPa).
    keep_symmetry : bool
        Symmetrize the structure within symprec_A, and preserve its symmetry.
    symprec_A : float
        Tolerance of the symmetry search (Å).
    maxstep_A : float
        Maximum displacement of an atom per step (Å); of all atoms together for fire and fire2.
    """

    fmax: float = ranged(0.01, 0, 1e9, "eV/Å", above=True)
    smax_GPa: float = ranged(0.02, 0, 1e6, "GPa", above=True)
    steps: int = ranged(500, 0, 10**9)
    optimizer: OptimizerName = "auto"
    cell: CellChange = "none"
    cell_mask: str | None = None
    pressure_GPa: float = ranged(0.0, -1000, 1e5, "GPa")
    keep_symmetry: bool = False
    symprec_A: float = ranged(0.01, 1e-10, 1, "Å")
    maxstep_A: float = ranged(0.2, 1e-6, _LARGEST_STEP_A, "Å")

    def __post_init__(self) -> None:
        check_settings(self)
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
class EnergySettings(Shown):
    """Settings that recipes share which compare energies of relaxed structures.

    Attributes
    ----------
    fmax : float
        Force convergence threshold (eV/Å).
    smax_GPa : float
        Stress convergence threshold of the crystal (GPa).
    steps : int
        Maximum number of steps of each relaxation.
    """

    fmax: float = ranged(0.01, 0, 1e9, "eV/Å", above=True)
    smax_GPa: float = ranged(0.01, 0, 1e6, "GPa", above=True)
    steps: int = ranged(300, 0, 10**9)

    def __post_init__(self) -> None:
        check_settings(self)

    @property
    def of_bulk(self) -> RelaxManySettings:
        """The relaxation of a crystal and its cell."""
        return RelaxManySettings(
            fmax=self.fmax, smax_GPa=self.smax_GPa, steps=self.steps, cell="full"
        )

    @property
    def of_atoms(self) -> RelaxManySettings:
        """The relaxation of atoms in a fixed cell."""
        return RelaxManySettings(fmax=self.fmax, steps=self.steps)

    @property
    def of_atoms_as_they_are(self) -> RelaxManySettings:
        """No relaxation: energies and forces only."""
        return RelaxManySettings(fmax=self.fmax, steps=0)


@dataclass(frozen=True)
class RelaxManySettings(RelaxSettings):
    """Settings of the relaxation of many structures.

    Attributes
    ----------
    steps : int
        Maximum number of steps of each structure.
    optimizer : str
        fire, bfgs or lbfgs, which evaluate a structure once per step; auto: bfgs up to 100 atoms,
        lbfgs above.
    cell_mask : str or None
        Components of strain that may change, such as "xx yy xy" for slabs; all when left out.
    keep_symmetry : bool
        Symmetrize every structure within symprec_A, and preserve its symmetry.
    maxstep_A : float
        Maximum displacement of an atom per step (Å); of all atoms together for fire.
    in_flight : int
        Number of structures relaxed at the same time; when one is done, the next is started.

    See Also
    --------
    RelaxSettings : all other settings.
    """

    in_flight: int = ranged(100, 1, 10**6)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_settings(self)
        require(
            self,
            self.optimizer in ("auto", "fire", "bfgs", "lbfgs"),
            "optimizer",
            "auto, fire, bfgs or lbfgs for many structures at once",
        )
