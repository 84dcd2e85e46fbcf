"""When a run is to stop by itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ase_geomformer.settings.checks import check_settings, require
from ase_geomformer.settings.ranges import ranged


@dataclass(frozen=True)
class GuardSettings:
    """Limits beyond which a run stops by itself; null (None) switches one off.

    Attributes
    ----------
    finite : bool
        Stop when the energy, a force or a position is NaN or infinite.
    min_distance_A : float or None
        Closest approach of two atoms; the shortest bond, H-H, is 0.74.
    max_force_eV_per_A : float or None
        Largest force on an atom; vibrations at room temperature stay below 10.
    min_temperature_K : float or None
        Lower end of the temperature window.
    max_temperature_K : float or None
        Upper end of the temperature window.
    min_pressure_GPa : float or None
        Lower end of the pressure window, under a barostat.
    max_pressure_GPa : float or None
        Upper end of the pressure window, under a barostat.
    max_drift_meV_per_atom_per_ps : float or None
        Change of the conserved energy, either way, over each drift_window_fs.
    drift_window_fs : float
        Time over which the drift is measured; shorter ones mistake oscillation for drift.
    max_gap_A : float or None
        An atom that had a neighbour within this distance at the start must keep one.
    max_forces_spread_eV_per_A : float or None
        Largest disagreement of a committee about the force on an atom (standard deviation).
    pair_interval : int
        Steps between looks at distances, which cost more than the rest.

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
    pair_interval: int = ranged(10, 1, 10**12)

    def __post_init__(self) -> None:
        check_settings(self)
        for name in ("temperature_K", "pressure_GPa"):
            low, high = getattr(self, f"min_{name}"), getattr(self, f"max_{name}")
            if None not in (low, high):
                require(self, low < high, f"min_{name}", f"less than max_{name} = {high!r}")
