"""Normal modes: the mass-weighted Hessian without the motions of the structure as a whole."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from ase import Atoms, units

from ase_geomformer.recipes.constraints import FreeDirections

WholeMotions = Literal["auto", "all", "translations", "none"]

# Energy in eV of a vibration whose force constant by mass is 1 eV/Å^2/amu.
QUANTUM = units._hbar * units.m / np.sqrt(units._e * units._amu)
PER_CM = QUANTUM / units.invcm
# eV to THz
TERAHERTZ = units._e / units._hplanck * 1e-12
# Å; a molecule whose atoms are all this close to an axis is linear.
LINEAR_TOLERANCE = 0.02
# What atoms do here, for messages about constraints.
VIBRATE = "vibrate"
# 1/cm; slower modes are neither real nor imaginary: rounding cannot tell.
NEARLY_ZERO = 1.0


@dataclass(frozen=True, eq=False)
class NormalModes:
    """Vibrations in the harmonic approximation, M of them, of N atoms.

    Attributes
    ----------
    frequencies_per_cm : array, shape (M,)
        In ascending order; an imaginary one is given as a negative number.
    vectors : array, shape (M, N, 3)
        Displacements of the atoms, of length 1 for each mode; zero for fixed atoms.
    reduced_masses_amu : array, shape (M,)
        Masses that belong to these displacements.
    whole_per_cm : array
        Frequencies of the motions as a whole that were left out; their distance from zero tells
        how well the energy is invariant and how far the structure is from its minimum.
    """

    frequencies_per_cm: np.ndarray
    vectors: np.ndarray
    reduced_masses_amu: np.ndarray
    whole_per_cm: np.ndarray

    @property
    def energies_eV(self) -> np.ndarray:
        """Energies of one quantum (M,), negative for imaginary modes."""
        return self.frequencies_per_cm * units.invcm

    @property
    def frequencies_THz(self) -> np.ndarray:
        return self.energies_eV * TERAHERTZ

    @property
    def imaginary(self) -> np.ndarray:
        """Indices of the imaginary modes."""
        return np.flatnonzero(self.frequencies_per_cm < -NEARLY_ZERO)

    @property
    def real_energies_eV(self) -> np.ndarray:
        """Energies of one quantum of the modes that are truly vibrations."""
        return self.energies_eV[self.frequencies_per_cm > NEARLY_ZERO]

    @property
    def zero_point_energy_eV(self) -> float:
        """Half a quantum of each real mode."""
        return 0.5 * float(self.real_energies_eV.sum())


def normal_modes(
    atoms: Atoms, matrix: np.ndarray, whole_motions: WholeMotions = "auto"
) -> NormalModes:
    """Diagonalise a Hessian.

    Translations and rotations are taken out before: in the space orthogonal to them, in
    mass-weighted coordinates, only vibrations are left (E. B. Wilson, J. C. Decius, P. C. Cross,
    Molecular Vibrations, McGraw-Hill (1955), chapter 2). A linear molecule has two rotations, an
    atom none.

    Parameters
    ----------
    atoms : ase.Atoms
    matrix : array, shape (M, M)
        Hessian along the free directions, eV/Å^2.
    whole_motions : str
        What to take out: ``all`` translations and rotations, ``translations`` or ``none``. Left
        to ``auto``, all of a molecule, translations where there are periodic boundaries, and none
        where atoms are fixed.
    """
    free = FreeDirections.of(atoms, VIBRATE)
    masses = atoms.get_masses()
    if not (masses[free.atoms] > 0).all():
        raise ValueError("all masses must be positive; set them with atoms.set_masses")
    if whole_motions == "auto":
        whole_motions = default_motions(atoms)
    roots = np.sqrt(masses[free.atoms])
    weighted = matrix / np.outer(roots, roots)
    whole = whole_motion_vectors(atoms.positions, masses, whole_motions, free)
    # The right singular vectors beyond the rank span what is orthogonal to the whole motions.
    space = np.linalg.svd(whole)[2][len(whole) :].T
    values, vectors = np.linalg.eigh(space.T @ weighted @ space)
    displacements = (space @ vectors) / roots[:, None]
    lengths = np.linalg.norm(displacements, axis=0)
    return NormalModes(
        frequencies_per_cm=PER_CM * _signed_root(values),
        vectors=free.displacements((displacements / lengths).T),
        reduced_masses_amu=1.0 / lengths**2,
        whole_per_cm=PER_CM * _signed_root(np.linalg.eigvalsh(whole @ weighted @ whole.T)),
    )


def default_motions(atoms: Atoms) -> WholeMotions:
    """The motions as a whole that cost no energy."""
    if atoms.constraints:
        return "none"
    return "translations" if atoms.pbc.any() else "all"


def whole_motion_vectors(
    positions: np.ndarray, masses: np.ndarray, motions: WholeMotions, free: FreeDirections
) -> np.ndarray:
    """Orthonormal mass-weighted vectors (k, M) of translations and rotations of the free atoms.

    Parameters
    ----------
    positions : array (N, 3)
    masses : array (N,)
    motions : str
    free : FreeDirections
    """
    if motions == "none":
        return np.zeros((0, len(free.atoms)))
    moving = free.free_atoms
    positions, masses = positions[moving], masses[moving]
    shapes = [np.tile(axis, (len(moving), 1)) for axis in np.eye(3)]
    if motions == "all":
        centred = positions - masses @ positions / masses.sum()
        axes = np.linalg.svd(centred)[2]
        # About the axis of a linear molecule there is nothing to turn; an atom has no other axis.
        count = {"linear": 2, "monatomic": 0}.get(geometry_kind(positions), 3)
        shapes += [np.cross(axis, centred) for axis in axes[::-1][:count]]
    place = np.searchsorted(moving, free.atoms)
    weighted = np.array(shapes)[:, place] * np.sqrt(masses)[place, None]
    return np.linalg.qr(np.einsum("kma,ma->mk", weighted, free.vectors))[0].T


def geometry_kind(positions: np.ndarray) -> Literal["monatomic", "linear", "nonlinear"]:
    """Whether positions are one, on a line, or neither."""
    if len(positions) == 1:
        return "monatomic"
    centred = positions - positions.mean(axis=0)
    axis = np.linalg.svd(centred)[2][0]
    off_axis = np.linalg.norm(centred - np.outer(centred @ axis, axis), axis=1)
    return "linear" if off_axis.max() < LINEAR_TOLERANCE else "nonlinear"


def _signed_root(values: np.ndarray) -> np.ndarray:
    """Square roots, of negative values as negative numbers."""
    return np.sign(values) * np.sqrt(np.abs(values))
