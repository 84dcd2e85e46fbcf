"""Settings of an equation of state."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ase_geomformer.recipes.relaxation.settings import RelaxManySettings, RelaxSettings
from ase_geomformer.settings.checks import check_settings, require
from ase_geomformer.settings.ranges import ranged
from ase_geomformer.settings.renamed import renamed
from ase_geomformer.settings.shown import Shown

EOSName = Literal[
    "sj",
    "taylor",
    "murnaghan",
    "birch",
    "birchmurnaghan",
    "pouriertarantola",
    "vinet",
    "anton-schmidt",
    "p3",
]


@renamed(relax_first="relax")
@dataclass(frozen=True)
class EOSSettings(Shown):
    """Settings of an equation of state.

    Attributes
    ----------
    equation : str
        Equation of state that gives the result, by its name in ase.eos; the others are fitted for
        comparison.
    volume_range : float
        Largest relative change of the volume, up and down: 0.06 is -6 % to +6 %.
    points : int
        Number of volumes.
    relax : bool
        Relax the structure and its cell before the scan.
    relax_ions : bool
        Relax the atoms at each volume.
    relax_shape : bool
        Also relax the shape of the cell at each volume.
    fmax : float
        Force convergence threshold of the relaxations (eV/Å).
    smax_GPa : float
        Stress convergence threshold of the relaxations (GPa).
    steps : int
        Maximum number of steps of each relaxation.
    """

    equation: EOSName = "birchmurnaghan"
    volume_range: float = ranged(0.06, 1e-6, 0.49)
    # Four numbers are fitted, and one more volume is what tells their errors.
    points: int = ranged(9, 5, 1001)
    relax: bool = True
    relax_ions: bool = True
    relax_shape: bool = False
    fmax: float = ranged(1e-3, 0, 1e9, "eV/Å", above=True)
    smax_GPa: float = ranged(1e-2, 0, 1e6, "GPa", above=True)
    steps: int = ranged(500, 0, 10**9)

    def __post_init__(self) -> None:
        check_settings(self)
        require(self, self.relax_ions or not self.relax_shape, "relax_ions", "true for relax_shape")

    @property
    def first(self) -> RelaxSettings:
        """The relaxation before the scan."""
        return RelaxSettings(fmax=self.fmax, smax_GPa=self.smax_GPa, steps=self.steps, cell="full")

    @property
    def at_volume(self) -> RelaxManySettings:
        """The relaxation at each volume."""
        return RelaxManySettings(
            fmax=self.fmax,
            smax_GPa=self.smax_GPa,
            steps=self.steps if self.relax_ions else 0,
            cell="constant-volume" if self.relax_shape else "none",
        )
