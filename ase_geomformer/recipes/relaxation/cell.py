"""Atoms and cell as one set of coordinates for an optimizer."""

from __future__ import annotations

from typing import Any

import numpy as np
from ase import Atoms, units
from ase.filters import FrechetCellFilter
from scipy.linalg import expm, logm

from ase_geomformer.recipes.relaxation.settings import RelaxSettings

# Strains that differ by less are the same; rounding makes them differ by 1e-16.
_SAME_STRAIN = 1e-12


class LogStrainFilter(FrechetCellFilter):
    """ASE's FrechetCellFilter, at a small part of its cost.

    The coordinates are the same, the positions in the undeformed cell and the logarithm U of the
    deformation. ASE computes matrix logarithms of the deformation and nine Fréchet derivatives
    for every force, which takes longer than a small potential; here U is kept, and one derivative
    is enough: the gradient of E(exp U) is L(U^T, dE/dF), the adjoint of the exponential's
    derivative L(U, .), and that is the upper right block of the exponential of
    [[U^T, dE/dF], [0, U^T]] (N. J. Higham, Functions of Matrices, SIAM 2008, theorem 3.6).
    """

    def __init__(self, atoms: Atoms, **options: Any) -> None:
        super().__init__(atoms, **options)
        self._log_strain = np.zeros((3, 3))

    def _log_deformation(self) -> np.ndarray:
        """U of the present cell, which constraints or the user may have changed."""
        deformation = self.deform_grad()
        if np.abs(expm(self._log_strain) - deformation).max() > _SAME_STRAIN:
            self._log_strain = np.real(logm(deformation))
        return self._log_strain

    def get_positions(self) -> np.ndarray:
        """Positions in the undeformed cell, and U (n + 3, 3)."""
        log_strain = self._log_deformation()
        undeformed = np.linalg.solve(self.deform_grad(), self.atoms.positions.T).T
        return np.concatenate([undeformed, log_strain * self.exp_cell_factor])

    def set_positions(self, new: np.ndarray, **options: Any) -> None:  # type: ignore[override]
        """Set cell and positions from what :meth:`get_positions` gives."""
        count = len(self.atoms)
        self._log_strain = new[count:] / self.exp_cell_factor
        # What is masked stays exactly, although the exponential mixes the components a little.
        deformation = np.eye(3) + (expm(self._log_strain) - np.eye(3)) * self.mask
        self.atoms.set_cell(self.orig_cell @ deformation.T, scale_atoms=True)
        self.atoms.set_positions(new[:count] @ deformation.T, **options)

    def get_forces(self, **options: Any) -> np.ndarray:
        """Negative gradient (n + 3, 3); ``stress`` is then what is left of it to relax."""
        log_strain = self._log_deformation()
        deformation = self.deform_grad()
        virial = self._virial(_full(self.atoms.get_stress(**options)))
        # A path with F = exp U moves the cell by dF, and dE = -virial : dF F^-1.
        gradient = virial @ np.linalg.inv(deformation.T)
        block = np.zeros((6, 6))
        block[:3, :3] = block[3:, 3:] = log_strain.T
        block[:3, 3:] = gradient
        pull = expm(block)[:3, 3:]
        residual = -virial / self.atoms.get_volume()
        if self.constant_volume:
            pull = _without_trace(pull)
            residual = _without_trace(residual)
        self.stress = _voigt(residual)
        forces = self.atoms.get_forces(**options) @ deformation
        return np.concatenate([forces, pull / self.exp_cell_factor])

    def _virial(self, stress: np.ndarray) -> np.ndarray:
        """Minus volume times the stress beside the pressure, where the cell may change."""
        virial = -self.atoms.get_volume() * (stress + self.scalar_pressure * np.eye(3))
        if self.hydrostatic_strain:
            virial = np.eye(3) * np.trace(virial) / 3.0
        return np.asarray(virial * self.mask)


def cell_filter(atoms: Atoms, settings: RelaxSettings) -> LogStrainFilter | None:
    """The coordinates that the settings ask for; None where only atoms move.

    Raises
    ------
    ValueError
        If the cell cannot change as asked.
    """
    if settings.cell == "none":
        return None
    if atoms.cell.rank < 3:
        raise ValueError(
            f"cell = {settings.cell!r} needs a cell of three vectors, and {atoms.symbols} has "
            f"{atoms.cell.rank}; use cell = 'none'"
        )
    if not atoms.pbc.all() and settings.cell_mask is None:
        raise ValueError(
            f"{atoms.symbols} is periodic along {atoms.pbc.tolist()} only, and cell = "
            f"{settings.cell!r} would change its vacuum; name the strain components that may "
            "change in cell_mask, or use cell = 'none'"
        )
    return LogStrainFilter(
        atoms,
        mask=settings.strain_mask,
        hydrostatic_strain=settings.cell == "hydrostatic",
        constant_volume=settings.cell == "constant-volume",
        scalar_pressure=settings.pressure_GPa * units.GPa,
    )


def _full(stress: np.ndarray) -> np.ndarray:
    xx, yy, zz, yz, xz, xy = stress
    return np.array([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]])


def _voigt(stress: np.ndarray) -> np.ndarray:
    return np.array([stress[i, j] for i, j in ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))])


def _without_trace(matrix: np.ndarray) -> np.ndarray:
    return np.asarray(matrix - np.eye(3) * np.trace(matrix) / 3.0)
