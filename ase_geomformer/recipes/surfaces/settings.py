"""Settings of surface energies."""

from __future__ import annotations

from dataclasses import dataclass, field

from ase_geomformer.recipes.relaxation.settings import EnergySettings
from ase_geomformer.settings.checks import require
from ase_geomformer.settings.ranges import Range, ranged


@dataclass(frozen=True)
class SurfaceSettings(EnergySettings):
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
    plane_A : float
        Atoms that are closer to each other than this along the normal are in one plane (Å).
    symprec_A : float
        Tolerance of the symmetry search (Å).

    Raises
    ------
    ValueError
        If a value is out of range.

    See Also
    --------
    EnergySettings : all other settings.
    """

    miller: list[int] = field(default_factory=lambda: [1, 1, 1], metadata={"range": Range(-50, 50)})
    thicknesses: int = ranged(4, 2, 100)
    min_thickness_A: float = ranged(12.0, 1, 1000, "Å")
    vacuum_A: float = ranged(15.0, 1, 1000, "Å")
    relax_bulk: bool = True
    relax_slabs: bool = True
    plane_A: float = ranged(0.1, 1e-4, 1, "Å")
    symprec_A: float = ranged(0.01, 1e-10, 1, "Å")

    def __post_init__(self) -> None:
        super().__post_init__()
        fits = isinstance(self.miller, list | tuple) and len(self.miller) == 3 and any(self.miller)
        require(self, fits, "miller", "three whole numbers, not all of them zero")
