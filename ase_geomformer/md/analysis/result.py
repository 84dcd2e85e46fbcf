"""Result of the analysis of a trajectory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from ase import units

from ase_geomformer.md.analysis.bonds import Bonds
from ase_geomformer.md.analysis.diffusion import MSD
from ase_geomformer.md.analysis.fluctuations import Fluctuations
from ase_geomformer.md.analysis.rdf import RDF
from ase_geomformer.md.analysis.transport import GreenKubo
from ase_geomformer.md.analysis.vibrations import VACF
from ase_geomformer.runs.result import Row, RunResult

# The name of all atoms together, beside those of elements.
ALL = "all"
# The reason of an analysis that leaves nothing out.
WHOLE = "all that was asked for"


@dataclass(frozen=True, eq=False, kw_only=True)
class AnalysisResult(RunResult):
    """What a trajectory tells; what it does not tell is None or empty, and ``reason`` says why.

    Attributes
    ----------
    formula : str
    frames : int
        Number of frames that were looked at.
    interval_fs : float
    temperature_K : float
    rdfs : dict of str to RDF
        By pair, such as "H-O".
    bonds : Bonds
    diffusion : dict of str to MSD
        By element, and of all atoms.
    correction_A2_per_ps : float or None
        What the diffusion of a liquid lacks in this cubic cell, by its viscosity.
    vibrations : dict of str to VACF
        By element, and of all atoms.
    viscosity : GreenKubo or None
    conductivity : GreenKubo or None
    nernst_einstein_S_per_m : tuple of float or None
        Conductivity of ions that move independently, and its error.
    fluctuations : Fluctuations or None
    """

    formula: str
    frames: int
    interval_fs: float
    temperature_K: float
    number_of_atoms: int
    rdfs: dict[str, RDF]
    bonds: Bonds
    diffusion: dict[str, MSD]
    correction_A2_per_ps: float | None
    vibrations: dict[str, VACF]
    viscosity: GreenKubo | None
    conductivity: GreenKubo | None
    nernst_einstein_S_per_m: tuple[float, float] | None
    fluctuations: Fluctuations | None

    def summary(self) -> dict[str, Any]:
        found = {
            **super().summary(),
            "formula": self.formula,
            "number_of_atoms": self.number_of_atoms,
            "frames": self.frames,
            "interval_fs": self.interval_fs,
            "temperature_K": self.temperature_K,
            "radial_distributions": {
                pair: dict(zip(("maximum_A", "minimum_A", "coordination"), rdf.shell, strict=True))
                for pair, rdf in self.rdfs.items()
            },
            "bond_lengths_A": _means(self.bonds.lengths),
            "angles_deg": _means(self.bonds.angles),
            "diffusion_A2_per_ps": {
                name: {
                    "value": one.diffusion_A2_per_ps,
                    "error": one.error_A2_per_ps,
                    "dimension": one.dimension,
                    "finite_size_corrected": None
                    if self.correction_A2_per_ps is None
                    else one.diffusion_A2_per_ps + self.correction_A2_per_ps,
                }
                for name, one in self.diffusion.items()
            },
            "viscosity_mPa_s": _told(self.viscosity),
            "conductivity_S_per_m": _told(self.conductivity),
            "nernst_einstein_S_per_m": self.nernst_einstein_S_per_m,
        }
        if self.fluctuations is not None:
            heat = self.fluctuations.heat_capacity_eV_per_K
            found["heat_capacity_kB_per_atom"] = {
                "value": heat.value / units.kB / self.number_of_atoms,
                "error": heat.error / units.kB / self.number_of_atoms,
            }
            found["compressibility_per_GPa"] = self.fluctuations.compressibility_per_GPa
            found["expansion_per_K"] = self.fluctuations.expansion_per_K
        return found

    def arrays(self) -> dict[str, np.ndarray]:
        """All curves by name."""
        found: dict[str, np.ndarray] = {}
        for pair, rdf in self.rdfs.items():
            found[f"rdf/{pair}/distance_A"] = rdf.distance
            found[f"rdf/{pair}/density_per_A3"] = rdf.density
            found[f"rdf/{pair}/coordination"] = rdf.coordination
            if rdf.g is not None:
                found[f"rdf/{pair}/g"] = rdf.g
        for kind, table in (("length_A", self.bonds.lengths), ("angle_deg", self.bonds.angles)):
            for name, one in table.items():
                found[f"bonds/{name}/{kind}"] = one.value
                found[f"bonds/{name}/density"] = one.density
        for name, msd in self.diffusion.items():
            found[f"msd/{name}/time_ps"] = msd.time_ps
            found[f"msd/{name}/msd_A2"] = msd.msd
        for name, vacf in self.vibrations.items():
            found[f"velocities/{name}/time_fs"] = vacf.time_fs
            found[f"velocities/{name}/vacf"] = vacf.vacf
            found[f"velocities/{name}/wavenumber_per_cm"] = vacf.wavenumber
            found[f"velocities/{name}/density_of_states_per_THz"] = vacf.density_of_states
        for name, integral in self.integrals.items():
            found[f"{name}/time_ps"] = integral.time_ps
            found[f"{name}/running"] = integral.running
            found[f"{name}/spread"] = integral.spread
        return found

    @property
    def integrals(self) -> dict[str, GreenKubo]:
        """Those that there are, by what they are of."""
        given = {"viscosity": self.viscosity, "conductivity": self.conductivity}
        return {name: one for name, one in given.items() if one is not None}

    def rows(self) -> list[Row]:
        rows = [
            ("frames", f"{self.frames}, {self.interval_fs:g} fs apart", ""),
            ("temperature", f"{self.temperature_K:.1f}", "K"),
        ]
        for pair, rdf in self.rdfs.items():
            top, low, count = rdf.shell
            rows.append((f"{pair} shell", f"{top:.2f}, {count:.2f} atoms to {low:.2f}", "Å"))
        for name, one in self.bonds.lengths.items():
            rows.append((f"{name} bond", f"{one.mean:.4f}, std {one.std:.4f}", "Å"))
        for name, one in self.bonds.angles.items():
            rows.append((f"{name} angle", f"{one.mean:.1f}, std {one.std:.1f}", "degrees"))
        for name, msd in self.diffusion.items():
            found = f"{msd.diffusion_A2_per_ps:.4g} ± {msd.error_A2_per_ps:.1g}"
            if self.correction_A2_per_ps is not None:
                found += f" (+ {self.correction_A2_per_ps:.2g} for the size of the cell)"
            rows.append((f"diffusion, {name}", found, "Å²/ps"))
        for name, integral in self.integrals.items():
            rows.append((name, f"{integral.value:.4g} ± {integral.error:.1g}", integral.unit))
        if self.nernst_einstein_S_per_m is not None:
            value, error = self.nernst_einstein_S_per_m
            rows.append(("conductivity, Nernst-Einstein", f"{value:.4g} ± {error:.1g}", "S/m"))
        notes = [] if self.reason == WHOLE else self.reason.split("; ")
        return [*rows, *self._thermal_rows(), *(("note", note, "") for note in notes)]

    def _thermal_rows(self) -> list[Row]:
        if self.fluctuations is None:
            return []
        heat, scale = self.fluctuations.heat_capacity_eV_per_K, units.kB * self.number_of_atoms
        rows = [("heat capacity", f"{heat.value / scale:.3f} ± {heat.error / scale:.2g}", "k/atom")]
        for name, one, unit in (
            ("compressibility", self.fluctuations.compressibility_per_GPa, "1/GPa"),
            ("thermal expansion, of the volume", self.fluctuations.expansion_per_K, "1/K"),
        ):
            if one is not None:
                rows.append((name, f"{one.value:.4g} ± {one.error:.1g}", unit))
        return rows


def _means(table: dict[str, Any]) -> dict[str, dict[str, float]]:
    return {
        name: {"mean": one.mean, "std": one.std, "number_per_frame": one.number_per_frame}
        for name, one in table.items()
    }


def _told(one: GreenKubo | None) -> dict[str, float] | None:
    return None if one is None else {"value": one.value, "error": one.error}
