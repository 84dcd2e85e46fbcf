"""Limits at which a run stops."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ase_geomformer.settings.checks import check_settings, require
from ase_geomformer.settings.ranges import ranged
from ase_geomformer.settings.shown import Shown


@dataclass(frozen=True)
class GuardSettings(Shown):
    """Limits at which a run stops; null (None) disables a limit.

    Attributes
    ----------
    finite : bool
        Stop when the energy, a force or a position is NaN or infinite.
    min_distance_A : float or None
        Minimum distance between two atoms; the shortest bond, H-H, is 0.74.
    max_force_eV_per_A : float or None
        Maximum force on an atom; at room temperature forces stay below 10.
    min_temperature_K : float or None
        Minimum instantaneous temperature.
    max_temperature_K : float or None
        Maximum instantaneous temperature.
    min_pressure_GPa : float or None
        Minimum pressure, with a barostat.
    max_pressure_GPa : float or None
        Maximum pressure, with a barostat.
    max_drift_meV_per_atom_per_ps : float or None
        Maximum drift of the conserved energy, in either direction, over each drift_window_fs.
    drift_window_fs : float
        Time window in which the drift is measured; shorter windows mistake oscillations for drift.
    max_gap_A : float or None
        Maximum distance to the nearest neighbour, for atoms that had one within this distance at
        the start; detects lost atoms.
    max_forces_spread_eV_per_A : float or None
        Maximum standard deviation of a committee's forces on an atom.
    max_extrapolation : float or None
        Maximum extrapolation grade of an atom, for a potential with statistics of its training
        data: 1 is the limit of what is known.
    pair_interval : int
        Number of steps between checks of interatomic distances and of the extrapolation grade, the
        most expensive of the checks.

    Raises
    ------
    ValueError
        If a limit is out of range.
    """

    GROUP: ClassVar[str] = "guards."

    finite: bool = True
    min_distance_A: float | None = ranged(0.4, 0, 10, "Å", above=True)
    max_force_eV_per_A: float | None = ranged(100.0, 0, 1e9, "eV/Å", above=True)
    min_temperature_K: float | None = ranged(0.0, 0, 1e9, "K")
    max_temperature_K: float | None = ranged(10000.0, 0, 1e9, "K", above=True)
    min_pressure_GPa: float | None = ranged(-100.0, -1e9, 1e9, "GPa")
    max_pressure_GPa: float | None = ranged(1000.0, -1e9, 1e9, "GPa")
    max_drift_meV_per_atom_per_ps: float | None = ranged(50.0, 0, 1e12, "meV/atom/ps", above=True)
    drift_window_fs: float = ranged(1000.0, 0, 1e12, "fs", above=True)
    max_gap_A: float | None = ranged(6.0, 0, 1000.0, "Å", above=True)
    max_forces_spread_eV_per_A: float | None = ranged(None, 0, 1e9, "eV/Å", above=True)
    max_extrapolation: float | None = ranged(None, 0, 1e9, above=True)
    pair_interval: int = ranged(10, 1, 10**12)

    def __post_init__(self) -> None:
        check_settings(self)
        for name in ("temperature_K", "pressure_GPa"):
            low, high = getattr(self, f"min_{name}"), getattr(self, f"max_{name}")
            if None not in (low, high):
                require(self, low < high, f"min_{name}", f"less than max_{name} = {high!r}")
