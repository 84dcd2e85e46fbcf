"""Settings that all calculations of lattice dynamics share."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from ase_geomformer.recipes.lattice.stability import OnImaginary
from ase_geomformer.recipes.relaxation.settings import CellChange, RelaxSettings
from ase_geomformer.settings.checks import check_settings, require
from ase_geomformer.settings.ranges import ranged
from ase_geomformer.settings.shown import Shown

PrimitiveCell = Literal["auto", "P", "F", "I", "A", "C", "R"]
NonAnalyticalTerm = Literal["none", "born", "charges"]

# What may change when a run resumes: the forces stay good.
ANALYSIS_SETTINGS = (
    "symmetrize", "nac", "born_file", "dielectric", "mesh", "mesh_length_A", "imaginary",
    "imaginary_tolerance_THz", "atoms_per_chunk",
)  # fmt: skip
_RELAXATION_STEPS = 1000
# Points of a mesh: at each, a matrix is diagonalised and its modes are kept.
MOST_Q_POINTS = 10**7


@dataclass(frozen=True)
class LatticeSettings(Shown):
    """Settings that calculations of lattice dynamics have in common.

    Attributes
    ----------
    supercell : list of int or None
        Supercell: three multiples of the cell, or the nine elements of a matrix row by row (its
        columns are the supercell vectors); chosen by supercell_length_A when left out.
    supercell_length_A : float
        Smallest distance between opposite faces of the supercell (Å).
    primitive : str
        Centring of the cell (P, F, I, A, C, R), which defines the primitive cell, or auto.
    relax : bool
        Relax the structure first, preserving its symmetry.
    cell : str
        How the cell may change in that relaxation, as in relax.
    fmax : float
        Force convergence threshold of the relaxation (eV/Å).
    displacement_A : float
        Displacement of the atoms (Å).
    symmetrize : bool
        Impose the acoustic sum rule and permutation symmetry on the force constants.
    symprec_A : float
        Tolerance of the symmetry search (Å).
    nac : str
        Non-analytical term correction of polar crystals: none, born (Born charges from born_file)
        or charges (the potential's own charges).
    born_file : str or None
        Born charges and dielectric tensor in phonopy's BORN format.
    dielectric : float
        Dielectric constant used with the potential's own charges.
    mesh : list of int or None
        Number of q points along each axis; chosen by mesh_length_A when left out.
    mesh_length_A : float
        Length that determines the q-point mesh (Å): the spacing is 2 pi divided by it.
    imaginary : str
        What to do if there are imaginary modes: error, warn or ignore.
    imaginary_tolerance_THz : float
        A mode counts as imaginary below minus this frequency (THz).
    atoms_per_chunk : int
        Number of atoms evaluated between checkpoints of the forces, from which a run resumes.

    Raises
    ------
    ValueError
        If a value is out of range.
    """

    supercell: list[int] | None = ranged(None, -100, 100)
    supercell_length_A: float = ranged(15.0, 0.001, 1000, "Å")
    primitive: PrimitiveCell = "auto"
    relax: bool = True
    cell: CellChange = "full"
    fmax: float = ranged(1e-5, 0, 1e9, "eV/Å", above=True)
    displacement_A: float = ranged(0.01, 1e-6, 1, "Å")
    symmetrize: bool = True
    symprec_A: float = ranged(1e-5, 1e-10, 1, "Å")
    nac: NonAnalyticalTerm = "none"
    born_file: str | None = None
    dielectric: float = ranged(1.0, 0.001, 1e6)
    mesh: list[int] | None = ranged(None, 1, 10_000)
    mesh_length_A: float = ranged(100.0, 0.001, 500, "Å")
    imaginary: OnImaginary = "warn"
    imaginary_tolerance_THz: float = ranged(0.05, 0, 1000, "THz")
    atoms_per_chunk: int = ranged(10_000, 1, 10**8)

    def __post_init__(self) -> None:
        check_settings(self)
        mesh = self.mesh
        require(self, mesh is None or len(mesh) == 3, "mesh", "three positive whole numbers")
        met = mesh is None or math.prod(mesh) <= MOST_Q_POINTS
        require(self, met, "mesh", f"coarser: at most {MOST_Q_POINTS:.0e} points")
        met = (self.born_file is not None) == (self.nac == "born")
        require(self, met, "born_file", "given with nac = born, and only then")

    @property
    def relaxation(self) -> RelaxSettings | None:
        """Settings of the relaxation, to forces small enough for phonons; None without one."""
        if not self.relax:
            return None
        return RelaxSettings(
            fmax=self.fmax,
            # As strict as the forces: a force of fmax on a face of some 10 Å^2.
            smax_GPa=max(16.0 * self.fmax, 1e-4),
            steps=_RELAXATION_STEPS,
            cell=self.cell,
            keep_symmetry=True,
            symprec_A=self.symprec_A,
        )

    @property
    def q_mesh(self) -> float | list[int]:
        """The mesh as phonopy and phono3py take it: three numbers or a length."""
        return self.mesh_length_A if self.mesh is None else list(self.mesh)
