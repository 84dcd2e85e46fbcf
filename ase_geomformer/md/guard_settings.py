"""When a run is to stop by itself."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields


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

    finite: bool = True
    min_distance_A: float | None = 0.4
    max_force_eV_per_A: float | None = 100.0
    min_temperature_K: float | None = 0.0
    max_temperature_K: float | None = 10000.0
    min_pressure_GPa: float | None = -100.0
    max_pressure_GPa: float | None = 1000.0
    max_drift_meV_per_atom_per_ps: float | None = 50.0
    drift_window_fs: float = 1000.0
    max_gap_A: float | None = 6.0
    max_forces_spread_eV_per_A: float | None = None
    pair_interval: int = 10

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            optional = field.type == "float | None"
            if (optional and value is None) or field.type == "bool":
                continue
            wanted = "a finite number" + (" or null, which switches it off" if optional else "")
            self._require(
                isinstance(value, int | float) and math.isfinite(value), field.name, wanted
            )
            if not field.name.startswith("min_") or field.name == "min_distance_A":
                self._require(value > 0, field.name, "positive")
        self._require(self.pair_interval == int(self.pair_interval), "pair_interval", "whole")
        for name in ("temperature_K", "pressure_GPa"):
            low, high = getattr(self, f"min_{name}"), getattr(self, f"max_{name}")
            if None not in (low, high):
                self._require(low < high, f"min_{name}", f"less than max_{name} = {high!r}")

    def _require(self, met: bool, name: str, wanted: str) -> None:
        if not met:
            raise ValueError(f"guards.{name} = {getattr(self, name)!r} must be {wanted}")
