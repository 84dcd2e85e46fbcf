"""Settings of the analysis of a trajectory."""

from __future__ import annotations

from dataclasses import dataclass

from ase_geomformer.settings.checks import check_settings
from ase_geomformer.settings.ranges import ranged
from ase_geomformer.settings.shown import Shown


@dataclass(frozen=True)
class AnalysisSettings(Shown):
    """Settings of the analysis of a trajectory.

    Attributes
    ----------
    start_ps : float or None
        Time before which frames and rows of the log are left out (ps); the equilibration of a run
        by default.
    interval_fs : float or None
        Time between frames (fs), where they do not carry their times.
    temperature_K : float or None
        Temperature (K); that of the thermostat, or the mean of the frames, by default.
    pairs : list of str or None
        Pairs of elements, such as O-H, for radial distributions; all by default.
    max_distance_A : float
        Largest distance of radial distributions (Å).
    bins : int
        Number of bins of radial distributions.
    bond_scale : float
        Atoms nearer than the sum of their covalent radii times this are bonded.
    structure_every : int
        Radial distributions, bonds and angles take every so many-th frame.
    parts : int
        Number of parts of the trajectory whose scatter is the error of diffusion.
    max_time_fs : float or None
        Longest correlation time of velocities (fs); a quarter of the trajectory by default.
    charges : dict or None
        Charge in e of an atom of each element, such as {Na: 1, Cl: -1}, for the ionic conductivity.
    viscosity_mPa_s : float or None
        Shear viscosity for the finite-size correction of diffusion, where the log does not give it.

    Raises
    ------
    ValueError
        If a value is out of range.
    """

    start_ps: float | None = ranged(None, 0, 1e9, "ps")
    interval_fs: float | None = ranged(None, 0, 1e9, "fs", above=True)
    temperature_K: float | None = ranged(None, 0, 1e6, "K", above=True)
    pairs: list[str] | None = None
    max_distance_A: float = ranged(6.0, 0, 100, "Å", above=True)
    bins: int = ranged(200, 2, 10**5)
    bond_scale: float = ranged(1.25, 0.5, 3)
    structure_every: int = ranged(1, 1, 10**9)
    parts: int = ranged(5, 2, 1000)
    max_time_fs: float | None = ranged(None, 0, 1e9, "fs", above=True)
    charges: dict[str, float] | None = None
    viscosity_mPa_s: float | None = ranged(None, 0, 1e9, "mPa s", above=True)

    def __post_init__(self) -> None:
        check_settings(self)

    def element_pairs(self, symbols: list[str]) -> list[tuple[str, str]]:
        """The pairs of elements to look at.

        Raises
        ------
        ValueError
            If a pair does not name two elements that are there.
        """
        if self.pairs is None:
            return [(a, b) for place, a in enumerate(symbols) for b in symbols[place:]]
        found = []
        for pair in self.pairs:
            first, _, second = pair.partition("-")
            if first not in symbols or second not in symbols:
                raise ValueError(
                    f"pairs names {pair!r}, which must be two of {', '.join(symbols)} as in "
                    f"{symbols[0]}-{symbols[-1]}"
                )
            found.append((first, second))
        return found
