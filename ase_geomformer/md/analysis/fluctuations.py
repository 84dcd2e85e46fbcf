"""Response functions from the fluctuations of energy and volume at equilibrium."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from ase import units

from ase_geomformer.md.blocks import block_average

# Fewer rows of a log say nothing about fluctuations.
_FEWEST_ROWS = 32


@dataclass(frozen=True)
class Response:
    """A response function with its standard error.

    Attributes
    ----------
    value, error : float
    """

    value: float
    error: float


@dataclass(frozen=True)
class Fluctuations:
    """What the fluctuations of a run tell, for classical nuclei.

    Attributes
    ----------
    heat_capacity_eV_per_K : Response
        Of the whole structure: at constant volume, or at constant pressure where the volume
        fluctuates.
    compressibility_per_GPa : Response or None
        Isothermal; None at constant volume.
    expansion_per_K : Response or None
        Volumetric thermal expansion; None at constant volume.
    """

    heat_capacity_eV_per_K: Response
    compressibility_per_GPa: Response | None = None
    expansion_per_K: Response | None = None


def fluctuations(
    log: Mapping[str, np.ndarray], temperature_K: float, pressure_GPa: float | None = None
) -> Fluctuations:
    """Heat capacity and, at constant pressure, compressibility and thermal expansion.

    C = var(H) / (k T^2), kappa = var(V) / (k T <V>) and alpha = cov(V, H) / (k T^2 <V>), with the
    enthalpy H = E + P V, and the energy in its place at constant volume (M. P. Allen, D. J.
    Tildesley, Computer Simulation of Liquids, 2nd ed., Oxford (2017), section 2.5). The thermostat
    and the barostat must sample the ensemble: nvt-langevin, nvt-bussi, nvt-nose-hoover or npt-mtk,
    not npt-berendsen. Errors are those of block averages.

    Parameters
    ----------
    log : mapping
        Columns of a run at equilibrium, as in ``result.log``: ``total_energy_eV`` and, at constant
        pressure, ``volume_A3``.
    temperature_K : float
        Of the thermostat.
    pressure_GPa : float, optional
        Of the barostat; left out for runs at constant volume.

    Raises
    ------
    ValueError
        If a column is missing, or there are too few rows.
    """
    if not temperature_K > 0:
        raise ValueError(f"temperature_K = {temperature_K} must be positive")
    thermal = units.kB * temperature_K
    energy = _column(log, "total_energy_eV")
    if pressure_GPa is None:
        return Fluctuations(_covariance(energy, energy, 1.0 / (thermal * temperature_K)))
    volume = _column(log, "volume_A3")
    enthalpy = energy + pressure_GPa * units.GPa * volume
    mean = float(volume.mean())
    return Fluctuations(
        _covariance(enthalpy, enthalpy, 1.0 / (thermal * temperature_K)),
        _covariance(volume, volume, units.GPa / (thermal * mean)),
        _covariance(volume, enthalpy, 1.0 / (thermal * temperature_K * mean)),
    )


def _column(log: Mapping[str, np.ndarray], name: str) -> np.ndarray:
    if name not in log:
        raise ValueError(f"the log has no column {name}; it has {', '.join(log)}")
    values = np.asarray(log[name], dtype=np.float64)
    if len(values) < _FEWEST_ROWS:
        raise ValueError(f"{len(values)} rows are too few for fluctuations, give {_FEWEST_ROWS}")
    return values


def _covariance(first: np.ndarray, second: np.ndarray, factor: float) -> Response:
    """The mean product of deviations, times a factor, with its error."""
    found = block_average((first - first.mean()) * (second - second.mean()))
    return Response(factor * found.mean, factor * found.error)
