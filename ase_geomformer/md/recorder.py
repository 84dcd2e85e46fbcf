"""The log of a run: one row of named numbers by sampled step, in memory and as CSV."""

from __future__ import annotations

from pathlib import Path
from typing import TextIO

import numpy as np
from ase import Atoms, units
from ase.md.md import MolecularDynamics

from ase_geomformer.md.ensembles import Ensemble
from ase_geomformer.md.velocities import temperature


class Recorder:
    """Samples a run.

    Parameters
    ----------
    dynamics : ase.md.md.MolecularDynamics
    ensemble : Ensemble
    degrees_of_freedom : int
    path : path, optional
        CSV file to write; every row is flushed, so that a killed run keeps its log.
    """

    def __init__(
        self,
        dynamics: MolecularDynamics,
        ensemble: Ensemble,
        degrees_of_freedom: int,
        path: Path | None = None,
    ) -> None:
        self.dynamics = dynamics
        self.ensemble = ensemble
        self.degrees_of_freedom = degrees_of_freedom
        self.rows: list[dict[str, float]] = []
        self._file: TextIO | None = path.open("w", encoding="utf-8") if path else None

    def __call__(self) -> None:
        """Record the present step."""
        row = self.sample()
        if self._file:
            if not self.rows:
                self._file.write(",".join(row) + "\n")
            self._file.write(",".join(repr(value) for value in row.values()) + "\n")
            self._file.flush()
        self.rows.append(row)

    def sample(self) -> dict[str, float]:
        """Present time, energies, temperature and, with a barostat, pressure and volume."""
        atoms: Atoms = self.dynamics.atoms
        potential = float(atoms.get_potential_energy())
        kinetic = float(atoms.get_kinetic_energy())
        row = {
            "step": self.dynamics.nsteps,
            "time_fs": float(self.dynamics.get_time() / units.fs),
            "potential_energy_eV": potential,
            "kinetic_energy_eV": kinetic,
            "total_energy_eV": potential + kinetic,
            "temperature_K": self.temperature(),
        }
        if self.ensemble.conserved:
            row["conserved_energy_eV"] = float(self.ensemble.conserved(self.dynamics))
        if self.ensemble.has_barostat:
            stress = atoms.get_stress(voigt=False, include_ideal_gas=True)
            row["pressure_GPa"] = float(-np.trace(stress) / 3.0 / units.GPa)
            row["volume_A3"] = float(atoms.get_volume())
        return row

    def temperature(self) -> float:
        """Present temperature in K."""
        return temperature(self.dynamics.atoms, self.degrees_of_freedom)

    def columns(self) -> dict[str, np.ndarray]:
        """The log by column."""
        names = self.rows[0] if self.rows else {}
        return {name: np.array([row[name] for row in self.rows]) for name in names}

    def close(self) -> None:
        if self._file:
            self._file.close()
