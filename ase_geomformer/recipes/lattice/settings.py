"""What a phonon calculation is asked to do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from ase_geomformer.recipes.checks import check_settings, require
from ase_geomformer.recipes.lattice.relaxation import tight
from ase_geomformer.recipes.lattice.stability import OnImaginary
from ase_geomformer.recipes.relax_settings import CellChange, RelaxSettings

PrimitiveCell = Literal["auto", "P", "F", "I", "A", "C", "R"]
ForceConstantSource = Literal["displacements", "hessian", "md"]
NonAnalyticalTerm = Literal["none", "born", "charges"]


@dataclass(frozen=True)
class EffectiveSettings:
    """Dynamics that effective force constants are fitted to.

    Attributes
    ----------
    temperature_K : float
        Temperature of the dynamics.
    timestep_fs : float
        Time step.
    equilibration_steps : int
        Steps before the first frame.
    frames : int
        Frames to fit to.
    frame_interval : int
        Steps between frames.
    friction_per_fs : float
        Friction of the thermostat.
    seed : int
        Seed of velocities and thermostat.
    """

    temperature_K: float = 300.0
    timestep_fs: float = 2.0
    equilibration_steps: int = 1000
    frames: int = 200
    frame_interval: int = 20
    friction_per_fs: float = 0.01
    seed: int = 0

    def __post_init__(self) -> None:
        positive = ("temperature_K", "timestep_fs", "frames", "frame_interval", "friction_per_fs")
        check_settings(self, positive=positive, not_negative=("equilibration_steps", "seed"))


@dataclass(frozen=True)
class PhononSettings:
    """Settings of a phonon calculation.

    Attributes
    ----------
    supercell : list of int or None
        Three multiples of the cell, or the nine numbers of a matrix row by row, whose columns are
        the supercell's vectors; by supercell_length_A when left out.
    supercell_length_A : float
        Smallest distance between opposite faces of the supercell. A potential's force constants
        reach as far as its cutoff times its number of layers.
    primitive : str
        Centring of the cell, which gives the primitive cell, or auto.
    relax : bool
        Relax the structure first, its symmetry kept.
    cell : str
        What of the cell is relaxed with the atoms.
    fmax : float
        Largest force in eV/Å at which the relaxation ends.
    force_constants : str
        From the forces on displaced atoms, from the exact second derivatives of the energy
        (potentials of this package), or fitted to frames of molecular dynamics.
    displacement_A : float
        How far atoms are displaced.
    symmetrize : bool
        Make force constants obey translations and permutations.
    symprec_A : float
        Tolerance of the symmetry search.
    nac : str
        Non-analytical term of polar crystals: none, from the Born charges in born_file, or
        from the potential's own charges.
    born_file : str or None
        Born charges and dielectric tensor in phonopy's format BORN.
    dielectric : float
        Dielectric constant that goes with the potential's own charges.
    mesh : list of int or None
        Points of the q mesh along three axes; by mesh_length_A when left out.
    mesh_length_A : float
        The spacing of q points is 2 pi divided by it.
    band_points : int
        Points on the longest segment of the band structure.
    temperature_max_K : float
        Highest temperature of thermodynamic properties.
    temperature_step_K : float
        Step between temperatures.
    imaginary : str
        What to do about imaginary modes.
    imaginary_tolerance_THz : float
        Modes are imaginary below minus this, and do not count in sums below it.
    atoms_per_chunk : int
        Atoms in the displaced supercells that are evaluated before their forces are written; a
        run that is killed loses no more.
    md : EffectiveSettings
        Dynamics for force constants from md.

    Raises
    ------
    ValueError
        If a value is out of range.
    """

    supercell: list[int] | None = None
    supercell_length_A: float = 15.0
    primitive: PrimitiveCell = "auto"
    relax: bool = True
    cell: CellChange = "full"
    fmax: float = 1e-5
    force_constants: ForceConstantSource = "displacements"
    displacement_A: float = 0.01
    symmetrize: bool = True
    symprec_A: float = 1e-5
    nac: NonAnalyticalTerm = "none"
    born_file: str | None = None
    dielectric: float = 1.0
    mesh: list[int] | None = None
    mesh_length_A: float = 100.0
    band_points: int = 51
    temperature_max_K: float = 1000.0
    temperature_step_K: float = 10.0
    imaginary: OnImaginary = "warn"
    imaginary_tolerance_THz: float = 0.05
    atoms_per_chunk: int = 10_000
    md: EffectiveSettings = field(default_factory=EffectiveSettings)

    def __post_init__(self) -> None:
        if isinstance(self.md, Mapping):  # as settings.yaml has them
            object.__setattr__(self, "md", EffectiveSettings(**self.md))
        positive = (
            "supercell_length_A", "fmax", "displacement_A", "symprec_A", "dielectric",
            "mesh_length_A", "temperature_max_K", "temperature_step_K", "atoms_per_chunk",
        )  # fmt: skip
        check_settings(self, positive=positive, not_negative=("imaginary_tolerance_THz",))
        require(self, self.band_points > 1, "band_points", "at least 2")
        check_mesh(self)
        check_nac(self)

    @property
    def relaxation(self) -> RelaxSettings | None:
        """Settings of the relaxation; None without one."""
        return tight(self.cell, self.fmax, self.symprec_A) if self.relax else None

    @property
    def q_mesh(self) -> float | list[int]:
        """The mesh as phonopy takes it: three numbers or a length."""
        return self.mesh_length_A if self.mesh is None else list(self.mesh)

    @property
    def temperatures_K(self) -> np.ndarray:
        """Temperatures from zero to the highest."""
        count = int(self.temperature_max_K / self.temperature_step_K + 1e-9)
        return np.asarray(self.temperature_step_K * np.arange(count + 1))


def check_mesh(settings: Any) -> None:
    """Refuse a mesh that is not three positive whole numbers."""
    mesh = settings.mesh
    met = mesh is None or (len(mesh) == 3 and all(n == int(n) and n > 0 for n in mesh))
    require(settings, met, "mesh", "three positive whole numbers")


def check_nac(settings: Any) -> None:
    """Refuse a file of Born charges that is not used, or missing."""
    met = (settings.born_file is not None) == (settings.nac == "born")
    require(settings, met, "born_file", "given with nac = born, and only then")
