"""Settings of elastic constants."""

from __future__ import annotations

from dataclasses import dataclass

from ase_geomformer.recipes.relaxation.settings import RelaxManySettings, RelaxSettings
from ase_geomformer.settings.checks import check_settings, require


@dataclass(frozen=True)
class ElasticSettings:
    """Settings of elastic constants.

    Attributes
    ----------
    max_strain : float
        Largest strain.
    points : int
        Number of strains of each of the six components, zero included; odd.
    relax_first : bool
        Relax the structure and its cell first. Without it, a structure above fmax or smax_GPa is
        refused.
    relax_ions : bool
        Relax the atoms in each strained cell (relaxed-ion constants) or not (clamped-ion).
    fmax : float
        Force convergence threshold of the relaxations (eV/Å).
    smax_GPa : float
        Stress convergence threshold of the relaxation of the cell (GPa).
    steps : int
        Maximum number of steps of each relaxation.
    symprec_A : float
        Tolerance of the symmetry search (Å).
    """

    max_strain: float = 0.005
    points: int = 5
    relax_first: bool = True
    relax_ions: bool = True
    fmax: float = 1e-4
    smax_GPa: float = 1e-2
    steps: int = 500
    symprec_A: float = 1e-3

    def __post_init__(self) -> None:
        check_settings(self, positive=("max_strain", "fmax", "smax_GPa", "steps", "symprec_A"))
        require(self, self.max_strain <= 0.1, "max_strain", "at most 0.1")
        require(self, self.points >= 3 and self.points % 2 == 1, "points", "odd and at least 3")

    @property
    def first(self) -> RelaxSettings:
        """The relaxation before the strains."""
        return RelaxSettings(fmax=self.fmax, smax_GPa=self.smax_GPa, steps=self.steps, cell="full")

    @property
    def at_strain(self) -> RelaxManySettings:
        """The relaxation in each strained cell."""
        return RelaxManySettings(fmax=self.fmax, steps=self.steps if self.relax_ions else 0)
