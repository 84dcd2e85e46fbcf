"""What a calculation of the lattice thermal conductivity is asked to do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from ase_geomformer.recipes.checks import check_settings, require
from ase_geomformer.recipes.lattice.relaxation import tight
from ase_geomformer.recipes.lattice.settings import (
    NonAnalyticalTerm,
    PrimitiveCell,
    check_mesh,
    check_nac,
)
from ase_geomformer.recipes.lattice.stability import OnImaginary
from ase_geomformer.recipes.relax_settings import CellChange, RelaxSettings

Method = Literal["rta", "lbte"]


@dataclass(frozen=True)
class ConductivitySettings:
    """Settings of a calculation of the lattice thermal conductivity.

    Attributes
    ----------
    supercell : list of int or None
        Supercell of the third-order force constants: three multiples of the cell, or the nine
        numbers of a matrix row by row, whose columns are the supercell's vectors; by
        supercell_length_A when left out.
    supercell_length_A : float
        Smallest distance between its opposite faces.
    phonon_supercell : list of int or None
        Supercell of the second-order force constants, which reach further; by
        phonon_supercell_length_A when left out.
    phonon_supercell_length_A : float
        Smallest distance between its opposite faces.
    primitive : str
        Centring of the cell, which gives the primitive cell, or auto.
    relax : bool
        Relax the structure first, its symmetry kept.
    cell : str
        What of the cell is relaxed with the atoms.
    fmax : float
        Largest force in eV/Å at which the relaxation ends.
    displacement_A : float
        How far atoms are displaced.
    pair_cutoff_A : float or None
        Pairs of atoms further apart are not displaced together; they are taken not to interact.
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
    method : str
        Relaxation-time approximation, or direct solution of the linearised Boltzmann equation.
    isotopes : bool
        Scattering by the natural mixture of isotopes.
    boundary_um : float or None
        Longest mean free path, that of a grain of this size.
    temperature_min_K : float
        Lowest temperature.
    temperature_max_K : float
        Highest temperature.
    temperature_step_K : float
        Step between temperatures.
    imaginary : str
        What to do about imaginary modes.
    imaginary_tolerance_THz : float
        Modes are imaginary below minus this.
    atoms_per_chunk : int
        Atoms in the displaced supercells that are evaluated before their forces are written; a
        run that is killed loses no more.

    Raises
    ------
    ValueError
        If a value is out of range.
    """

    supercell: list[int] | None = None
    supercell_length_A: float = 10.0
    phonon_supercell: list[int] | None = None
    phonon_supercell_length_A: float = 15.0
    primitive: PrimitiveCell = "auto"
    relax: bool = True
    cell: CellChange = "full"
    fmax: float = 1e-5
    displacement_A: float = 0.03
    pair_cutoff_A: float | None = None
    symmetrize: bool = True
    symprec_A: float = 1e-5
    nac: NonAnalyticalTerm = "none"
    born_file: str | None = None
    dielectric: float = 1.0
    mesh: list[int] | None = None
    mesh_length_A: float = 40.0
    method: Method = "rta"
    isotopes: bool = True
    boundary_um: float | None = None
    temperature_min_K: float = 100.0
    temperature_max_K: float = 1000.0
    temperature_step_K: float = 50.0
    imaginary: OnImaginary = "warn"
    imaginary_tolerance_THz: float = 0.05
    atoms_per_chunk: int = 10_000

    def __post_init__(self) -> None:
        positive = (
            "supercell_length_A", "phonon_supercell_length_A", "fmax", "displacement_A",
            "pair_cutoff_A", "symprec_A", "dielectric", "mesh_length_A", "boundary_um",
            "temperature_min_K", "temperature_step_K", "atoms_per_chunk",
        )  # fmt: skip
        check_settings(self, positive=positive, not_negative=("imaginary_tolerance_THz",))
        check_mesh(self)
        check_nac(self)
        require(
            self,
            self.temperature_max_K >= self.temperature_min_K,
            "temperature_max_K",
            "temperature_min_K at least",
        )

    @property
    def relaxation(self) -> RelaxSettings | None:
        """Settings of the relaxation; None without one."""
        return tight(self.cell, self.fmax, self.symprec_A) if self.relax else None

    @property
    def q_mesh(self) -> float | list[int]:
        """The mesh as phono3py takes it: three numbers or a length."""
        return self.mesh_length_A if self.mesh is None else list(self.mesh)

    @property
    def temperatures_K(self) -> np.ndarray:
        """Temperatures from the lowest to the highest."""
        span = self.temperature_max_K - self.temperature_min_K
        count = int(span / self.temperature_step_K + 1e-9)
        return np.asarray(self.temperature_min_K + self.temperature_step_K * np.arange(count + 1))
