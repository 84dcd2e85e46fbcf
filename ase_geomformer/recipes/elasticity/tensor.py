"""What a tensor of elastic constants says: symmetry, moduli, stability, anisotropy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from matscipy.elasticity import Voigt_6x6_to_full_3x3x3x3, full_3x3x3x3_to_Voigt_6x6

# Voigt's order, of strains, stresses and the rows of tensors.
COMPONENTS = ("xx", "yy", "zz", "yz", "xz", "xy")
# Number of independent constants by point group (J. F. Nye, Physical Properties of Crystals,
# Oxford 1985, table 9).
_CLASSES = {
    "triclinic": ("1", "-1"),
    "monoclinic": ("2", "m", "2/m"),
    "orthorhombic": ("222", "mm2", "mmm"),
    "tetragonal (low)": ("4", "-4", "4/m"),
    "tetragonal (high)": ("422", "4mm", "-42m", "4/mmm"),
    "trigonal (low)": ("3", "-3"),
    "trigonal (high)": ("32", "3m", "-3m"),
    "hexagonal": ("6", "-6", "6/m", "622", "6mm", "-6m2", "6/mmm"),
    "cubic": ("23", "m-3", "432", "-43m", "m-3m"),
}


@dataclass(frozen=True)
class Moduli:
    """Moduli of a polycrystal, by averages over its grains, and measures of anisotropy.

    Attributes
    ----------
    bulk_voigt_GPa, bulk_reuss_GPa, bulk_hill_GPa : float
    shear_voigt_GPa, shear_reuss_GPa, shear_hill_GPa : float
    young_hill_GPa : float
    poisson_hill : float
    universal_anisotropy : float
        5 G_V/G_R + B_V/B_R - 6, zero for an isotropic crystal (S. I. Ranganathan and
        M. Ostoja-Starzewski, Phys. Rev. Lett. 101, 055504 (2008)).
    """

    bulk_voigt_GPa: float
    bulk_reuss_GPa: float
    bulk_hill_GPa: float
    shear_voigt_GPa: float
    shear_reuss_GPa: float
    shear_hill_GPa: float
    young_hill_GPa: float
    poisson_hill: float
    universal_anisotropy: float


def crystal_class(point_group: str) -> str:
    """The class of a point group that decides which constants are independent."""
    return next(name for name, groups in _CLASSES.items() if point_group in groups)


def symmetrized(stiffness: np.ndarray, rotations: np.ndarray) -> np.ndarray:
    """Mean of a tensor over the rotations of a crystal.

    Parameters
    ----------
    stiffness : array (6, 6)
        In Voigt's notation.
    rotations : array (n, 3, 3)
        Cartesian, proper or not.
    """
    full = Voigt_6x6_to_full_3x3x3x3(0.5 * (stiffness + stiffness.T))
    mean = sum(
        np.einsum("ai,bj,ck,dl,ijkl->abcd", r, r, r, r, full, optimize=True) for r in rotations
    ) / len(rotations)
    return np.asarray(full_3x3x3x3_to_Voigt_6x6(mean, check_symmetry=False))


def rotated(stiffness: np.ndarray, rotation: np.ndarray) -> np.ndarray:
    """A tensor (6, 6) in axes turned by a rotation (3, 3): v' = R v."""
    return symmetrized(stiffness, rotation[None])


def moduli(stiffness: np.ndarray) -> Moduli:
    """Voigt, Reuss and Hill averages of a tensor (6, 6) in GPa.

    R. Hill, Proc. Phys. Soc. A 65, 349 (1952); for crystals of any symmetry.
    """
    compliance = np.linalg.inv(stiffness)
    c, s = stiffness, compliance
    diagonal, off, shear = _sums(c)
    bulk_voigt, shear_voigt = (diagonal + 2 * off) / 9, (diagonal - off + 3 * shear) / 15
    diagonal, off, shear = _sums(s)
    bulk_reuss = 1.0 / (diagonal + 2 * off)
    shear_reuss = 15.0 / (4 * diagonal - 4 * off + 3 * shear)
    bulk, rigid = 0.5 * (bulk_voigt + bulk_reuss), 0.5 * (shear_voigt + shear_reuss)
    return Moduli(
        bulk_voigt_GPa=bulk_voigt,
        bulk_reuss_GPa=bulk_reuss,
        bulk_hill_GPa=bulk,
        shear_voigt_GPa=shear_voigt,
        shear_reuss_GPa=shear_reuss,
        shear_hill_GPa=rigid,
        young_hill_GPa=9 * bulk * rigid / (3 * bulk + rigid),
        poisson_hill=(3 * bulk - 2 * rigid) / (2 * (3 * bulk + rigid)),
        universal_anisotropy=5 * shear_voigt / shear_reuss + bulk_voigt / bulk_reuss - 6,
    )


def stability(stiffness: np.ndarray) -> np.ndarray:
    """Eigenvalues (6,) of a tensor, rising, in its unit.

    A crystal is stable if all are positive, whatever its symmetry (F. Mouhat and F.-X. Coudert,
    Phys. Rev. B 90, 224104 (2014)). In Mandel's notation, in which they do not depend on axes.
    """
    scale = np.array([1, 1, 1, np.sqrt(2), np.sqrt(2), np.sqrt(2)])
    return np.linalg.eigvalsh(stiffness * np.outer(scale, scale))


def zener(cubic: np.ndarray) -> float:
    """2 C44 / (C11 - C12) of a cubic crystal in its own axes; one if it is isotropic."""
    return float(2 * cubic[3, 3] / (cubic[0, 0] - cubic[0, 1]))


def propagated(
    function: Callable[[np.ndarray], float], stiffness: np.ndarray, errors: np.ndarray
) -> float:
    """Standard error of a number from those of the independent constants (6, 6).

    Each constant and what is equal to it by symmetry moves as one.
    """
    variance = 0.0
    for value in _independent(stiffness):
        equal = np.abs(np.abs(stiffness) - value) < 1e-9 * np.abs(stiffness).max()
        error = float(errors[equal].max())
        if error == 0.0:
            continue
        step = np.where(equal, np.sign(stiffness) * error, 0.0)
        variance += (0.5 * (function(stiffness + step) - function(stiffness - step))) ** 2
    return float(np.sqrt(variance))


def _independent(stiffness: np.ndarray) -> list[float]:
    """The different absolute values in a tensor, zeros aside."""
    scale = 1e-9 * np.abs(stiffness).max()
    found: list[float] = []
    for value in np.abs(stiffness).ravel():
        if value > scale and all(abs(value - other) > scale for other in found):
            found.append(float(value))
    return found


def _sums(tensor: np.ndarray) -> tuple[float, float, float]:
    """C11 + C22 + C33, C12 + C13 + C23 and C44 + C55 + C66."""
    diagonal = np.diag(tensor)
    off = tensor[0, 1] + tensor[0, 2] + tensor[1, 2]
    return float(diagonal[:3].sum()), float(off), float(diagonal[3:].sum())
