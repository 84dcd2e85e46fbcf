"""Settings of elastic constants."""

from __future__ import annotations

from dataclasses import dataclass

from ase_geomformer.recipes.relaxation.settings import RelaxManySettings, RelaxSettings
from ase_geomformer.settings.checks import check_settings, require
from ase_geomformer.settings.ranges import ranged
from ase_geomformer.settings.renamed import renamed
from ase_geomformer.settings.shown import Shown


@renamed(relax_first="relax")
@dataclass(frozen=True)
class ElasticSettings(Shown):
    """Settings of elastic constants.

    Attributes
    ----------
    max_strain : float
        Largest strain.
    points : int
        Number of strains of each of the six components, zero included; odd.
    relax : bool
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

    max_strain: float = ranged(0.005, 1e-6, 0.1)
    points: int = ranged(5, 3, 201)
    relax: bool = True
    relax_ions: bool = True
    fmax: float = ranged(1e-4, 0, 1e9, "eV/Å", above=True)
    smax_GPa: float = ranged(1e-2, 0, 1e6, "GPa", above=True)
    steps: int = ranged(500, 0, 10**9)
    symprec_A: float = ranged(1e-3, 1e-10, 1, "Å")

    def __post_init__(self) -> None:
        check_settings(self)
        require(self, self.points % 2 == 1, "points", "odd: the unstrained cell counts")

    @property
    def first(self) -> RelaxSettings:
        """The relaxation before the strains."""
        return RelaxSettings(fmax=self.fmax, smax_GPa=self.smax_GPa, steps=self.steps, cell="full")

    @property
    def at_strain(self) -> RelaxManySettings:
        """The relaxation in each strained cell."""
        return RelaxManySettings(fmax=self.fmax, steps=self.steps if self.relax_ions else 0)
