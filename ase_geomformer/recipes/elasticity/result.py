"""Result of elastic constants."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from ase import Atoms

from ase_geomformer.recipes.elasticity import tensor as tensors
from ase_geomformer.runs.result import RecipeResult, Row


@dataclass(frozen=True, eq=False, kw_only=True)
class ElasticResult(RecipeResult):
    """Result of elastic constants.

    Attributes
    ----------
    converged : bool
        Whether the crystal and all strained cells relaxed; a crystal that is not stable may.
    constants_GPa : array (6, 6)
        In Voigt's notation, symmetrised, along the Cartesian axes of the structure.
    errors_GPa : array (6, 6)
        Standard errors of the regression of stress on strain. The curvature of the stress counts
        as scatter in them, although it cancels from the constants: they bound the error of a
        smooth potential from above.
    standard_constants_GPa : array (6, 6)
        Along the crystal's own axes, as spglib orients them.
    asymmetry_GPa : float
        Largest change that symmetrisation made to a constant.
    crystal_class, point_group : str
    moduli : Moduli
    moduli_errors : dict of str to float
        Standard errors of the moduli, by name.
    eigenvalues_GPa : array (6,)
        All positive if the crystal is stable.
    zener_anisotropy : float or None
        Of cubic crystals.
    atoms : ase.Atoms
        The crystal that was strained.
    """

    constants_GPa: np.ndarray
    errors_GPa: np.ndarray
    standard_constants_GPa: np.ndarray
    asymmetry_GPa: float
    crystal_class: str
    point_group: str
    moduli: tensors.Moduli
    moduli_errors: dict[str, float]
    eigenvalues_GPa: np.ndarray
    zener_anisotropy: float | None
    atoms: Atoms

    @property
    def stable(self) -> bool:
        """Whether every strain costs energy."""
        return bool(self.eigenvalues_GPa.min() > 0)

    def summary(self) -> dict[str, Any]:
        return {
            **super().summary(),
            "formula": self.atoms.get_chemical_formula(),
            "lattice_A": self.atoms.cell.lengths(),
            "crystal_class": self.crystal_class,
            "point_group": self.point_group,
            "standard_elastic_constants_GPa": self.standard_constants_GPa,
            "standard_axes": "Cartesian axes of the conventional cell, as spglib orients it",
            "elastic_constants_GPa": self.constants_GPa,
            "errors_GPa": self.errors_GPa,
            "axes": "Cartesian axes of the structure given",
            "components": tensors.COMPONENTS,
            "asymmetry_GPa": self.asymmetry_GPa,
            **asdict(self.moduli),
            "moduli_errors": self.moduli_errors,
            "zener_anisotropy": self.zener_anisotropy,
            "mechanically_stable": self.stable,
            "eigenvalues_GPa": self.eigenvalues_GPa,
        }

    def rows(self) -> list[Row]:
        found, errors = self.moduli, self.moduli_errors
        rows = [
            ("crystal class", f"{self.crystal_class} ({self.point_group})", ""),
            ("axes", "of the conventional cell", ""),
        ]
        standard = self.standard_constants_GPa
        for i, j in _distinct(standard):
            rows.append((f"C{i + 1}{j + 1}", f"{standard[i, j]:.2f}", "GPa"))
        for label, name in (("B (Hill)", "bulk_hill_GPa"), ("G (Hill)", "shear_hill_GPa")):
            rows.append((label, f"{getattr(found, name):.2f} ± {errors[name]:.1g}", "GPa"))
        rows.append(("Young's modulus", f"{found.young_hill_GPa:.2f}", "GPa"))
        rows.append(("Poisson's ratio", f"{found.poisson_hill:.4f}", ""))
        rows.append(("universal anisotropy", f"{found.universal_anisotropy:.4f}", ""))
        if self.zener_anisotropy is not None:
            rows.append(("Zener anisotropy", f"{self.zener_anisotropy:.4f}", ""))
        rows.append(("stable", "yes" if self.stable else "no", ""))
        return rows


def _distinct(constants: np.ndarray) -> list[tuple[int, int]]:
    """The first of all constants that are equal, zeros left out."""
    places: list[tuple[int, int]] = []
    limit = 1e-6 * np.abs(constants).max()
    for i in range(6):
        for j in range(i, 6):
            value = abs(constants[i, j])
            if value > limit and all(abs(value - abs(constants[p])) > limit for p in places):
                places.append((i, j))
    return places
