"""What every calculation of lattice dynamics is asked to do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ase_geomformer.recipes.lattice.stability import OnImaginary
from ase_geomformer.recipes.relaxation.settings import CellChange, RelaxSettings
from ase_geomformer.settings.checks import check_settings, require

PrimitiveCell = Literal["auto", "P", "F", "I", "A", "C", "R"]
NonAnalyticalTerm = Literal["none", "born", "charges"]

# What may change when a run resumes: the forces stay good.
ANALYSIS_SETTINGS = (
    "symmetrize", "nac", "born_file", "dielectric", "mesh", "mesh_length_A", "imaginary",
    "imaginary_tolerance_THz", "atoms_per_chunk",
)  # fmt: skip
_RELAXATION_STEPS = 1000


@dataclass(frozen=True)
class LatticeSettings:
    """Settings that calculations of lattice dynamics have in common.

    Attributes
    ----------
    supercell : list of int or None
        Three multiples of the cell, or the nine numbers of a matrix row by row, whose columns are
        the supercell's vectors; by supercell_length_A when left out.
    supercell_length_A : float
        Smallest distance between opposite faces of the supercell.
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
    supercell_length_A: float = 15.0
    primitive: PrimitiveCell = "auto"
    relax: bool = True
    cell: CellChange = "full"
    fmax: float = 1e-5
    displacement_A: float = 0.01
    symmetrize: bool = True
    symprec_A: float = 1e-5
    nac: NonAnalyticalTerm = "none"
    born_file: str | None = None
    dielectric: float = 1.0
    mesh: list[int] | None = None
    mesh_length_A: float = 100.0
    imaginary: OnImaginary = "warn"
    imaginary_tolerance_THz: float = 0.05
    atoms_per_chunk: int = 10_000

    def __post_init__(self) -> None:
        positive = (
            "supercell_length_A", "fmax", "displacement_A", "symprec_A", "dielectric",
            "mesh_length_A", "atoms_per_chunk",
        )  # fmt: skip
        check_settings(self, positive=positive, not_negative=("imaginary_tolerance_THz",))
        mesh = self.mesh
        met = mesh is None or (len(mesh) == 3 and all(n == int(n) and n > 0 for n in mesh))
        require(self, met, "mesh", "three positive whole numbers")
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
