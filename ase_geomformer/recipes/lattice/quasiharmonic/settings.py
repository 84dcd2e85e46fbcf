"""Settings of a quasi-harmonic calculation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from ase_geomformer.recipes.lattice.phonons.settings import PhononSettings
from ase_geomformer.recipes.relaxation.settings import RelaxManySettings
from ase_geomformer.settings.checks import check_settings, require

EquationOfState = Literal["vinet", "birch_murnaghan", "murnaghan"]
# phonopy fits four parameters to the volumes.
_FEWEST_VOLUMES = 5


@dataclass(frozen=True)
class QHASettings:
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

    volumes: int = 9
    smallest_volume: float = 0.96
    largest_volume: float = 1.08
    relax_shape: bool = True
    pressure_GPa: float = 0.0
    eos: EquationOfState = "vinet"
    gruneisen_strain: float = 0.01
    gruneisen_mesh_length_A: float = 40.0
    phonons: PhononSettings = field(default_factory=PhononSettings)

    def __post_init__(self) -> None:
        if isinstance(self.phonons, Mapping):  # as settings.yaml has them
            object.__setattr__(self, "phonons", PhononSettings(**self.phonons))
        check_settings(
            self, positive=("smallest_volume", "gruneisen_strain", "gruneisen_mesh_length_A")
        )
        require(self, self.volumes >= _FEWEST_VOLUMES, "volumes", f"at least {_FEWEST_VOLUMES}")
        require(self, self.smallest_volume < 1.0, "smallest_volume", "below 1")
        require(self, self.largest_volume > 1.0, "largest_volume", "above 1")
        require(self, self.gruneisen_strain < 0.1, "gruneisen_strain", "below 0.1")
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
