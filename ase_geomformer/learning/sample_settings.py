"""Settings of sampling."""

from __future__ import annotations

from dataclasses import dataclass

from ase_geomformer.settings.checks import check_settings, require
from ase_geomformer.settings.ranges import ranged
from ase_geomformer.settings.shown import Shown


@dataclass(frozen=True)
class SampleSettings(Shown):
    """Which structures to make around a given one.

    Attributes
    ----------
    isolated : bool
        One isolated atom of each element, for the reference energies.
    modes : int
        Number of structures with thermal displacements along normal modes of a rough force field.
    strains : int
        Number of crystals with strained cells.
    dimers : int
        Number of pairs of atoms at short distances.
    temperatures_K : list of float or None
        Temperatures of the displacements, in turn; by default 150, 300 and 450 K.
    amplitude : float
        Factor of the displacements.
    max_strain : float
        Maximum strain of the cell, in either direction.
    seed : int
        Random seed.

    Raises
    ------
    ValueError
        If a value is out of range, or there is nothing to make.
    """

    isolated: bool = True
    modes: int = ranged(20, 0, 10**6)
    strains: int = ranged(0, 0, 10**6)
    dimers: int = ranged(0, 0, 10**6)
    temperatures_K: list[float] | None = ranged(None, 0, 1e5, "K", above=True)
    amplitude: float = ranged(1.0, 0, 10, above=True)
    max_strain: float = ranged(0.04, 0, 0.3)
    seed: int = ranged(0, 0, 2**63 - 1)

    def __post_init__(self) -> None:
        check_settings(self)
        given = self.temperatures_K is None or len(self.temperatures_K) > 0
        require(self, given, "temperatures_K", "at least one temperature")
        made = self.isolated or self.modes or self.strains or self.dimers
        if not made:
            raise ValueError("there is nothing to sample: set isolated, modes, strains or dimers")

    @property
    def kelvins(self) -> list[float]:
        """The temperatures."""
        return self.temperatures_K or [150.0, 300.0, 450.0]
