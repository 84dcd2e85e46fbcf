"""Settings of adsorption."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ase_geomformer.recipes.relaxation.settings import EnergySettings
from ase_geomformer.settings.ranges import ranged

Orientation = Literal["upright", "as-given"]


@dataclass(frozen=True)
class AdsorptionSettings(EnergySettings):
    """Settings of adsorption.

    Attributes
    ----------
    binding_atom : int
        Index of the atom of the adsorbate that is put on the site.
    orientation : str
        upright (the other atoms straight above the binding atom) or as-given (z of the adsorbate is
        the normal of the slab).
    min_length_A : float
        Distance of an adsorbate from its periodic images, at least (Å); the slab is repeated.
    height_A : float or None
        First height of the binding atom above the highest atom of the slab (Å); where covalent
        radii touch by default.
    layer_A : float
        Atoms no deeper than this below the highest one are the surface (Å).
    fixed_share : float
        Share of the thickness of the slab, from below, whose atoms are held, unless the slab has
        constraints of its own.
    reference_eV : float or None
        Energy in eV of the adsorbate far away, such as half of O2 for an O atom; that of the
        relaxed adsorbate by default.
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

    binding_atom: int = ranged(0, 0, 10**6)
    orientation: Orientation = "upright"
    min_length_A: float = ranged(8.0, 1, 1000, "Å")
    height_A: float | None = ranged(None, -10, 100, "Å")
    layer_A: float = ranged(1.0, 0.01, 10, "Å")
    fixed_share: float = ranged(0.5, 0, 1)
    reference_eV: float | None = ranged(None, -1e9, 1e9, "eV")
    symprec_A: float = ranged(0.01, 1e-10, 1, "Å")
