"""What an analysis computes of a trajectory, part by part."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from ase.data import chemical_symbols

from ase_geomformer.md.analysis.bonds import Bonds, bonds_and_angles
from ase_geomformer.md.analysis.diffusion import (
    MSD,
    finite_size_correction,
    mean_square_displacement,
)
from ase_geomformer.md.analysis.fluctuations import Fluctuations, fluctuations
from ase_geomformer.md.analysis.frames import Frames
from ase_geomformer.md.analysis.rdf import RDF, radial_distribution
from ase_geomformer.md.analysis.result import ALL
from ase_geomformer.md.analysis.settings import AnalysisSettings
from ase_geomformer.md.analysis.source import Source
from ase_geomformer.md.analysis.transport import (
    GreenKubo,
    conductivity,
    nernst_einstein,
    viscosity,
)
from ase_geomformer.md.analysis.vibrations import VACF, velocity_autocorrelation
from ase_geomformer.md.recorder import PRESSURES

# Relative; cell vectors that differ by more are not those of a cube.
_CUBIC = 1e-3


@dataclass(frozen=True, eq=False)
class Measures:
    """Parts of an analysis.

    What cannot be computed is None or empty, and ``notes`` says why.

    Attributes
    ----------
    frames : Frames
    settings : AnalysisSettings
    run : Source
    notes : list of str
    """

    frames: Frames
    settings: AnalysisSettings
    run: Source
    notes: list[str] = field(default_factory=list)

    @property
    def symbols(self) -> list[str]:
        return sorted({chemical_symbols[number] for number in self.frames.numbers})

    @property
    def kelvin(self) -> float:
        return self.run.temperature_K(self.frames, self.settings)

    @property
    def _groups(self) -> list[str | None]:
        """All atoms, and those of each element where there are several."""
        return [None, *self.symbols] if len(self.symbols) > 1 else [None]

    def radial_distributions(self) -> dict[str, RDF]:
        frames, settings = self.frames[:: self.settings.structure_every], self.settings
        return {
            f"{a}-{b}": radial_distribution(
                frames, a, b, max_distance=settings.max_distance_A, bins=settings.bins
            )
            for a, b in settings.element_pairs(self.symbols)
        }

    def bonds(self) -> Bonds:
        settings = self.settings
        return bonds_and_angles(
            self.frames, scale=settings.bond_scale, every=settings.structure_every
        )

    def diffusion(self) -> dict[str, MSD]:
        try:
            unwrapped = self.frames.unwrapped()
            return {
                name or ALL: mean_square_displacement(unwrapped, name, parts=self.settings.parts)
                for name in self._groups
            }
        except ValueError as error:
            self.notes.append(f"no diffusion: {error}")
            return {}

    def vibrations(self) -> dict[str, VACF]:
        longest = self.settings.max_time_fs
        try:
            return {
                name or ALL: velocity_autocorrelation(self.frames, name, max_time_fs=longest)
                for name in self._groups
            }
        except ValueError as error:
            self.notes.append(f"no vibrations: {error}")
            return {}

    def viscosity(self) -> GreenKubo | None:
        log, cells = self.run.rows(self.settings), self.frames.cells
        if not set(PRESSURES) <= log.keys():
            return None
        apart = np.diff(log["time_fs"])
        try:
            if not len(apart) or np.ptp(apart) > 1e-6 * apart[0]:
                raise ValueError("the rows of the log are not equally spaced")
            if float(np.ptp(np.linalg.det(cells))) != 0.0:
                raise ValueError("the volume changes; take a run at constant volume")
            pressure = np.stack([log[name] for name in PRESSURES], axis=1)
            volume = float(abs(np.linalg.det(cells[0])))
            return viscosity(pressure, volume, self.kelvin, float(apart[0]))
        except (ImportError, ValueError) as error:
            self.notes.append(f"no viscosity: {error}")
            return None

    def conductivity(self) -> GreenKubo | None:
        charges = self.settings.charges
        return None if charges is None else conductivity(self.frames, charges, self.kelvin)

    def nernst_einstein(self, diffusion: dict[str, MSD]) -> tuple[float, float] | None:
        """Conductivity of ions that move independently, with its error, S/m."""
        charges = self.settings.charges
        elements = {name: one for name, one in diffusion.items() if name != ALL}
        if charges is None or not elements:
            return None
        return nernst_einstein(self.frames, charges, self.kelvin, elements)

    def correction(self, flow: GreenKubo | None) -> float | None:
        """Of diffusion in a cubic cell, where the viscosity is known, Å^2/ps."""
        known = self.settings.viscosity_mPa_s or (None if flow is None else flow.value)
        cell = self.frames.cells[0]
        length = float(np.linalg.norm(cell[0]))
        tolerance = _CUBIC * max(length**2, 1e-9)
        square = np.allclose(cell @ cell.T, length**2 * np.eye(3), rtol=0, atol=tolerance)
        if known is None or not self.frames.pbc.all() or not square or known <= 0:
            return None
        return finite_size_correction(self.kelvin, known, length)

    def fluctuations(self) -> Fluctuations | None:
        log = self.run.rows(self.settings)
        if not self.run.is_sampled or "total_energy_eV" not in log:
            return None
        try:
            return fluctuations(log, self.kelvin, self.run.pressure_GPa)
        except ValueError as error:
            self.notes.append(f"no heat capacity: {error}")
            return None
