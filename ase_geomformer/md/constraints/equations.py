"""Functions of the positions that constraints keep constant, with their gradients.

Distances are between chosen periodic images: an offset, found once, is added to every difference
of positions, so that nothing jumps when a molecule crosses the cell's boundary.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Protocol

import numpy as np
from ase.geometry import (
    get_angles,
    get_angles_derivatives,
    get_dihedrals,
    get_dihedrals_derivatives,
)


class Equations(Protocol):
    """K functions of the same form.

    Attributes
    ----------
    atoms : array of int (K, A)
        The atoms that each depends on.
    is_linear : bool
        Whether the gradients are constant.
    is_internal : bool
        Whether they depend on relative positions only, and hold in every orientation.
    is_centre : bool
        Whether they are the coordinates of the centre of mass of all atoms.
    period : float or None
        Values that differ by it are the same.
    """

    is_linear: ClassVar[bool]
    period: ClassVar[float | None]

    @property
    def atoms(self) -> np.ndarray: ...

    @property
    def is_internal(self) -> bool: ...

    @property
    def is_centre(self) -> bool: ...

    def values(self, positions: np.ndarray) -> np.ndarray:
        """Values (K,) at positions (N, 3) in Å; lengths in Å, angles in radians."""

    def gradients(self, positions: np.ndarray) -> np.ndarray:
        """Derivatives (K, A, 3) with respect to the positions of the atoms."""


@dataclass(frozen=True, eq=False)
class Linear:
    """Linear combinations of Cartesian coordinates.

    Attributes
    ----------
    atoms : array of int (K, A)
    coefficients : array (K, A, 3)
    is_internal, is_centre : bool
    """

    atoms: np.ndarray
    coefficients: np.ndarray
    is_internal: bool = False
    is_centre: bool = False
    is_linear: ClassVar[bool] = True
    period: ClassVar[float | None] = None

    def values(self, positions: np.ndarray) -> np.ndarray:
        return np.einsum("kac,kac->k", self.coefficients, positions[self.atoms])

    def gradients(self, positions: np.ndarray) -> np.ndarray:
        return self.coefficients


@dataclass(frozen=True, eq=False)
class Distances:
    """Linear combinations of B distances each.

    Attributes
    ----------
    pairs : array of int (K, B, 2)
    coefficients : array (K, B)
    offsets : array (K, B, 3)
        Added to the second position less the first, Å.
    """

    pairs: np.ndarray
    coefficients: np.ndarray
    offsets: np.ndarray
    is_internal: ClassVar[bool] = True
    is_centre: ClassVar[bool] = False
    is_linear: ClassVar[bool] = False
    period: ClassVar[float | None] = None

    @property
    def atoms(self) -> np.ndarray:
        return self.pairs.reshape(len(self.pairs), -1)

    def values(self, positions: np.ndarray) -> np.ndarray:
        lengths = np.linalg.norm(self._vectors(positions), axis=-1)
        return np.sum(self.coefficients * lengths, axis=1)

    def gradients(self, positions: np.ndarray) -> np.ndarray:
        vectors = self._vectors(positions)
        lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
        with np.errstate(invalid="ignore"):  # atoms in one place, which the manifold refuses
            slopes = self.coefficients[..., None] * vectors / lengths
        both = np.stack([-slopes, slopes], axis=2)  # (K, B, 2, 3)
        return both.reshape(len(both), -1, 3)

    def _vectors(self, positions: np.ndarray) -> np.ndarray:
        return positions[self.pairs[..., 1]] - positions[self.pairs[..., 0]] + self.offsets


@dataclass(frozen=True, eq=False)
class Angles:
    """Angles at the second of three atoms.

    Attributes
    ----------
    atoms : array of int (K, 3)
    offsets : array (K, 2, 3)
        Added to the vectors from the second to the first and to the third atom, Å.
    """

    atoms: np.ndarray
    offsets: np.ndarray
    is_internal: ClassVar[bool] = True
    is_centre: ClassVar[bool] = False
    is_linear: ClassVar[bool] = False
    period: ClassVar[float | None] = None

    def values(self, positions: np.ndarray) -> np.ndarray:
        return np.radians(get_angles(*self._vectors(positions)))

    def gradients(self, positions: np.ndarray) -> np.ndarray:
        return np.radians(get_angles_derivatives(*self._vectors(positions)))

    def _vectors(self, positions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        first, middle, last = np.moveaxis(positions[self.atoms], 1, 0)
        return first - middle + self.offsets[:, 0], last - middle + self.offsets[:, 1]


@dataclass(frozen=True, eq=False)
class Dihedrals:
    """Dihedral angles of four atoms in a chain.

    Attributes
    ----------
    atoms : array of int (K, 4)
    offsets : array (K, 3, 3)
        Added to the vectors from each atom to the next, Å.
    """

    atoms: np.ndarray
    offsets: np.ndarray
    is_internal: ClassVar[bool] = True
    is_centre: ClassVar[bool] = False
    is_linear: ClassVar[bool] = False
    period: ClassVar[float | None] = 2.0 * np.pi

    def values(self, positions: np.ndarray) -> np.ndarray:
        return np.radians(get_dihedrals(*self._vectors(positions)))

    def gradients(self, positions: np.ndarray) -> np.ndarray:
        return np.radians(get_dihedrals_derivatives(*self._vectors(positions)))

    def _vectors(self, positions: np.ndarray) -> np.ndarray:
        vectors = np.diff(positions[self.atoms], axis=1) + self.offsets
        return np.moveaxis(vectors, 1, 0)


@dataclass(frozen=True, eq=False)
class Frozen:
    """Cartesian coordinates that do not change at all.

    Attributes
    ----------
    mask : array of bool (N, 3)
    """

    mask: np.ndarray


@dataclass(frozen=True, eq=False)
class Held:
    """What one constraint of ASE holds.

    Attributes
    ----------
    equations : Equations
    targets : array (K,)
        The values to hold, Å or radians.
    """

    equations: Equations
    targets: np.ndarray
