"""Normal modes: the mass-weighted Hessian without the motions of the structure as a whole."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from ase import Atoms, units
from ase.constraints import FixAtoms

from ase_geomformer.evaluate import BatchEvaluator, Evaluator
from ase_geomformer.hessian import STEP, finite_difference_hessian, hessian

HessianMethod = Literal["auto", "exact", "finite-difference"]
WholeMotions = Literal["auto", "all", "translations", "none"]

# Energy in eV of a vibration whose force constant by mass is 1 eV/Å^2/amu.
QUANTUM = units._hbar * units.m / np.sqrt(units._e * units._amu)
PER_CM = QUANTUM / units.invcm
# eV to THz
TERAHERTZ = units._e / units._hplanck * 1e-12
# Å; a molecule whose atoms are all this close to an axis is linear.
LINEAR_TOLERANCE = 0.02
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


def free_atoms(atoms: Atoms) -> np.ndarray:
    """Indices of the atoms that no constraint holds.

    Raises
    ------
    ValueError
        If there is a constraint other than FixAtoms, or no atom is free.
    """
    free = np.ones(len(atoms), dtype=bool)
    for constraint in atoms.constraints:
        if not isinstance(constraint, FixAtoms):
            raise ValueError(
                f"vibrations with the constraint {type(constraint).__name__} are not defined here; "
                "remove it, or fix whole atoms with FixAtoms"
            )
        free[constraint.index] = False
    if not free.any():
        raise ValueError("all atoms are fixed, so that nothing vibrates; release some of them")
    return np.flatnonzero(free)


def curvature(
    evaluate: Evaluator,
    atoms: Atoms,
    *,
    method: HessianMethod = "auto",
    step_A: float = STEP,
    progress: bool = False,
) -> tuple[np.ndarray, str]:
    """Hessian (3 n, 3 n) of the n free atoms in eV/Å^2, and the method that gave it.

    ``auto`` is exact for a potential whose forces are the gradient of its energy.

    Raises
    ------
    ValueError
        If an exact Hessian is asked of what is not a potential.
    """
    free = free_atoms(atoms)
    if method == "auto":
        differentiable = isinstance(evaluate, BatchEvaluator) and evaluate.potential.conservative
        method = "exact" if differentiable else "finite-difference"
    if method == "exact":
        if not isinstance(evaluate, BatchEvaluator):
            raise ValueError(
                "hessian = 'exact' needs a potential of this package, and "
                f"{type(evaluate.calculator).__name__} is another calculator; choose "
                "'finite-difference'"
            )
        rows = hessian(evaluate, atoms, rows=free, dtype=None, progress=progress)
    else:
        rows = finite_difference_hessian(
            evaluate, atoms, rows=free, step_A=step_A, progress=progress
        )
    columns = (3 * free[:, None] + np.arange(3)).ravel()
    square = rows[:, columns]
    return 0.5 * (square + square.T), method


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
    matrix : array, shape (3 n, 3 n)
        Hessian of the free atoms, eV/Å^2.
    whole_motions : str
        What to take out: ``all`` translations and rotations, ``translations`` or ``none``. Left
        to ``auto``, all of a molecule, translations where there are periodic boundaries, and none
        where atoms are fixed.
    """
    free = free_atoms(atoms)
    masses = atoms.get_masses()[free]
    if not (masses > 0).all():
        raise ValueError("an atom without mass cannot vibrate; give it one with atoms.set_masses")
    if whole_motions == "auto":
        whole_motions = default_motions(atoms)
    roots = np.sqrt(np.repeat(masses, 3))
    weighted = matrix / np.outer(roots, roots)
    whole = whole_motion_vectors(atoms.positions[free], masses, whole_motions)
    # The right singular vectors beyond the rank span what is orthogonal to the whole motions.
    space = np.linalg.svd(whole)[2][len(whole) :].T
    values, vectors = np.linalg.eigh(space.T @ weighted @ space)
    displacements = (space @ vectors) / roots[:, None]
    lengths = np.linalg.norm(displacements, axis=0)
    full = np.zeros((len(values), len(atoms), 3))
    full[:, free] = (displacements / lengths).T.reshape(len(values), len(free), 3)
    return NormalModes(
        frequencies_per_cm=PER_CM * _signed_root(values),
        vectors=full,
        reduced_masses_amu=1.0 / lengths**2,
        whole_per_cm=PER_CM * _signed_root(np.linalg.eigvalsh(whole @ weighted @ whole.T)),
    )


def default_motions(atoms: Atoms) -> WholeMotions:
    """The motions as a whole that cost no energy."""
    if atoms.constraints:
        return "none"
    return "translations" if atoms.pbc.any() else "all"


def whole_motion_vectors(
    positions: np.ndarray, masses: np.ndarray, motions: WholeMotions
) -> np.ndarray:
    """Orthonormal mass-weighted vectors (k, 3 N) of translations and rotations."""
    number = len(masses)
    if motions == "none":
        return np.zeros((0, 3 * number))
    roots = np.sqrt(masses)[:, None]
    vectors = [(roots * axis).ravel() for axis in np.eye(3)]
    if motions == "all":
        centred = positions - masses @ positions / masses.sum()
        axes = np.linalg.svd(centred)[2]
        # About the axis of a linear molecule there is nothing to turn; an atom has no other axis.
        count = {"linear": 2, "monatomic": 0}.get(geometry_kind(positions), 3)
        vectors += [(roots * np.cross(axis, centred)).ravel() for axis in axes[::-1][:count]]
    return np.linalg.qr(np.array(vectors).T)[0].T


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
