"""Settings of surface energies."""

from __future__ import annotations

from dataclasses import dataclass, field

from ase_geomformer.recipes.relaxation.settings import RelaxManySettings, RelaxSettings
from ase_geomformer.settings.checks import check_settings, require
from ase_geomformer.settings.ranges import Range, ranged
from ase_geomformer.settings.shown import Shown


@dataclass(frozen=True)
class SurfaceSettings(Shown):
    """Settings of surface energies.

    Attributes
    ----------
    miller : list of int
        Miller indices of the surface, such as [1, 1, 1], in the axes of the conventional cell.
    thicknesses : int
        Number of slabs of different thickness, each thicker than the one before by one period.
    min_thickness_A : float
        Thickness of the thinnest slab, at least (Å).
    vacuum_A : float
        Empty space between the slabs (Å).
    relax_bulk : bool
        Relax the crystal and its cell first.
    relax_slabs : bool
        Relax the atoms of the slabs; otherwise the energies are those of cleavage.
    fmax : float
        Force convergence threshold (eV/Å).
    smax_GPa : float
        Stress convergence threshold of the crystal (GPa).
    steps : int
        Maximum number of steps of each relaxation.
    plane_A : float
        Atoms that are closer to each other than this along the normal are in one plane (Å).
    symprec_A : float
        Tolerance of the symmetry search (Å).

    Raises
    ------
    ValueError
        If a value is out of range.
    """

    miller: list[int] = field(default_factory=lambda: [1, 1, 1], metadata={"range": Range(-50, 50)})
    thicknesses: int = ranged(4, 2, 100)
    min_thickness_A: float = ranged(12.0, 1, 1000, "Å")
    vacuum_A: float = ranged(15.0, 1, 1000, "Å")
    relax_bulk: bool = True
    relax_slabs: bool = True
    fmax: float = ranged(0.01, 0, 1e9, "eV/Å", above=True)
    smax_GPa: float = ranged(0.01, 0, 1e6, "GPa", above=True)
    steps: int = ranged(300, 0, 10**9)
    plane_A: float = ranged(0.1, 1e-4, 1, "Å")
    symprec_A: float = ranged(0.01, 1e-10, 1, "Å")

    def __post_init__(self) -> None:
        check_settings(self)
        fits = isinstance(self.miller, list | tuple) and len(self.miller) == 3 and any(self.miller)
        require(self, fits, "miller", "three whole numbers, not all of them zero")

    @property
    def of_bulk(self) -> RelaxSettings:
        """The relaxation of the crystal."""
        return RelaxSettings(fmax=self.fmax, smax_GPa=self.smax_GPa, steps=self.steps, cell="full")

    @property
    def of_slabs(self) -> RelaxManySettings:
        """The relaxation of the slabs."""
        return RelaxManySettings(fmax=self.fmax, steps=self.steps if self.relax_slabs else 0)
