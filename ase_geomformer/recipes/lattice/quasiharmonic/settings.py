"""Settings of a quasi-harmonic calculation."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from ase_geomformer.recipes.lattice.phonons.settings import PhononSettings
from ase_geomformer.recipes.relaxation.settings import RelaxManySettings
from ase_geomformer.settings.checks import check_settings
from ase_geomformer.settings.plain import take_groups
from ase_geomformer.settings.ranges import ranged
from ase_geomformer.settings.shown import Shown

EquationOfState = Literal["vinet", "birch_murnaghan", "murnaghan"]
# phonopy fits four parameters to the volumes.
_FEWEST_VOLUMES = 5


@dataclass(frozen=True)
class QHASettings(Shown):
    """Settings of a quasi-harmonic calculation.

    Attributes
    ----------
    volumes : int
        Number of volumes.
    smallest_volume : float
        Smallest volume relative to that of the relaxed crystal.
    largest_volume : float
        Largest volume relative to it; must exceed the volume at the highest temperature.
    relax_shape : bool
        Relax the shape of the cell at each volume as well as the atoms.
    pressure_GPa : float
        External pressure (GPa).
    eos : str
        Equation of state fitted to the free energy: vinet, birch_murnaghan or murnaghan.
    gruneisen_strain : float
        Relative change of the volume, up and down, for mode Grüneisen parameters.
    gruneisen_mesh_length_A : float
        Length that determines their q-point mesh (Å): the spacing is 2 pi divided by it.
    phonons : PhononSettings
        Settings of the phonon calculation at each volume.

    Raises
    ------
    ValueError
        If a value is out of range.
    """

    volumes: int = ranged(9, _FEWEST_VOLUMES, 101)
    smallest_volume: float = ranged(0.96, 0.1, 0.9999)
    largest_volume: float = ranged(1.08, 1.0001, 2)
    relax_shape: bool = True
    pressure_GPa: float = ranged(0.0, -1000, 1e5, "GPa")
    eos: EquationOfState = "vinet"
    gruneisen_strain: float = ranged(0.01, 1e-6, 0.099)
    gruneisen_mesh_length_A: float = ranged(40.0, 0.001, 500, "Å")
    phonons: PhononSettings = field(default_factory=PhononSettings)

    def __post_init__(self) -> None:
        take_groups(self, phonons=PhononSettings)
        check_settings(self)
        if self.phonons.force_constants == "md":
            raise ValueError(
                "the quasi-harmonic approximation takes force constants from displacements or "
                "hessian; those from md depend on the temperature already"
            )

    @property
    def ratios(self) -> np.ndarray:
        """Volumes (n + 3,) by that of the relaxed crystal; the last three are for Grüneisen's."""
        grid = np.linspace(self.smallest_volume, self.largest_volume, self.volumes)
        strain = self.gruneisen_strain
        return np.concatenate([grid, [1.0, 1.0 + strain, 1.0 - strain]])

    @property
    def relaxation(self) -> RelaxManySettings | None:
        """Settings of the relaxation at each volume; None without one."""
        found = self.phonons.relaxation
        if found is None:
            return None
        return RelaxManySettings(
            fmax=found.fmax,
            smax_GPa=found.smax_GPa,
            steps=found.steps,
            cell="constant-volume" if self.relax_shape else "none",
            keep_symmetry=True,
            symprec_A=found.symprec_A,
        )
