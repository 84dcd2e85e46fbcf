"""Result of an equation of state."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from ase import Atoms

from ase_geomformer.recipes.equation_of_state.fit import EOSFit
from ase_geomformer.runs.result import RecipeResult, Row


@dataclass(frozen=True, eq=False, kw_only=True)
class EOSResult(RecipeResult):
    """Result of an equation of state.

    Attributes
    ----------
    converged : bool
        Whether all relaxations converged, the equation could be fitted and its minimum lies among
        the volumes.
    equation : str
        The equation asked for.
    fit : EOSFit or None
        Its fit.
    fits : dict of str to EOSFit
        Those of all equations, by name.
    volumes : array (points,)
        Å^3.
    energies : array (points,)
        eV.
    atoms : ase.Atoms
        The structure at the fitted equilibrium volume, scaled from the nearest one of the scan.
    """

    equation: str
    fit: EOSFit | None
    fits: dict[str, EOSFit]
    volumes: np.ndarray
    energies: np.ndarray
    atoms: Atoms

    def summary(self) -> dict[str, Any]:
        found = asdict(self.fit) if self.fit else {}
        return {
            **super().summary(),
            "formula": self.atoms.get_chemical_formula(),
            "number_of_atoms": len(self.atoms),
            **found,
            "volume_A3_per_atom": found["volume_A3"] / len(self.atoms) if found else None,
            "lattice_A": self.atoms.cell.lengths(),
            "fits": {name: asdict(fitted) for name, fitted in self.fits.items()},
            "volumes_A3": self.volumes,
            "energies_eV": self.energies,
        }

    def rows(self) -> list[Row]:
        found = self.fit
        if found is None:
            return []
        slope, error = found.bulk_modulus_derivative, found.bulk_modulus_derivative_error
        return [
            ("volume", f"{found.volume_A3:.4f} ± {found.volume_error_A3:.2g}", "Å³"),
            ("lattice", " ".join(f"{side:.4f}" for side in self.atoms.cell.lengths()), "Å"),
            ("energy", f"{found.energy_eV:.6f} ± {found.energy_error_eV:.1g}", "eV"),
            ("B", f"{found.bulk_modulus_GPa:.3f} ± {found.bulk_modulus_error_GPa:.2g}", "GPa"),
            ("B'", f"{slope:.3f} ± {error:.2g}", ""),
            ("residual", f"{found.rms_residual_meV:.3g}", "meV"),
        ]
