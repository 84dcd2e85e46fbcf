"""Result of a path-integral run."""

from __future__ import annotations

from dataclasses import astuple, dataclass
from typing import Any

import numpy as np
from ase import units

from ase_geomformer.md.result import MDResult, Statistic
from ase_geomformer.runs.result import Row

# Blocks of the estimate whose error comes from leaving out one of them at a time.
_BLOCKS = 20


@dataclass(frozen=True, eq=False, kw_only=True)
class PathIntegralResult(MDResult):
    """Result of a path-integral run; kinetic energies are centroid-virial estimates.

    Attributes
    ----------
    beads : int
    method : str
    temperature_target_K : float
    heat_capacity_kB : Statistic or None
        At constant volume, in units of the Boltzmann constant, of all atoms and with the motion of
        the centre of mass; None where it was not asked for.
    """

    beads: int
    method: str
    temperature_target_K: float
    heat_capacity_kB: Statistic | None = None

    def summary(self) -> dict[str, Any]:
        capacity = self.heat_capacity_kB
        return {
            **super().summary(),
            "method": self.method,
            "beads": self.beads,
            "heat_capacity_kB": capacity,
        }

    def rows(self) -> list[Row]:
        rows = super().rows()
        classical = 1500.0 * units.kB * self.temperature_target_K
        added: list[Row] = []
        for symbol, count in self.atoms.symbols.formula.count().items():
            found = self.averages.get(f"kinetic_energy_{symbol}_eV")
            if found is not None:
                mean, error = 1000.0 * found.mean / count, 1000.0 * found.error / count
                text = f"{mean:.2f} ± {error:.2f}, classical {classical:.2f}"
                added.append((f"kinetic energy of each {symbol}", text, "meV"))
        if self.heat_capacity_kB is not None:
            mean, _, error = astuple(self.heat_capacity_kB)
            added.append(("heat capacity", f"{mean:.2f} ± {error:.2f}", "kB"))
        return [*rows[:-2], *added, *rows[-2:]]


def heat_capacity(
    log: dict[str, np.ndarray], temperature_K: float, equilibration_steps: int
) -> Statistic | None:
    """Heat capacity in kB, by the double virial estimator; None without its columns.

    C / kB = beta^2 (<e^2> - <e>^2 - <e'>) (Yamamoto, J. Chem. Phys. 123, 104101 (2005)). The error
    is that of a jackknife over blocks; NaN where there are too few rows.
    """
    if "energy_estimate_eV" not in log:
        return None
    kept = log["step"] >= equilibration_steps
    energy, slope = log["energy_estimate_eV"][kept], log["energy_slope_eV2"][kept]
    beta = 1.0 / (units.kB * temperature_K)

    def estimate(chosen: np.ndarray) -> float:
        return float(beta**2 * (energy[chosen].var() - slope[chosen].mean()))

    everything = np.arange(len(energy))
    if not len(energy):
        return None
    mean = estimate(everything)
    if len(energy) < 2 * _BLOCKS:
        return Statistic(mean, float("nan"))
    parts = np.array_split(everything, _BLOCKS)
    left = np.array([estimate(np.setdiff1d(everything, part)) for part in parts])
    error = np.sqrt((_BLOCKS - 1) * left.var())
    return Statistic(mean, float("nan"), float(error))
