"""Number of replicas, and what distinguishes them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise

from ase_geomformer.md.settings import MDSettings
from ase_geomformer.settings.checks import check_settings
from ase_geomformer.settings.ranges import ranged
from ase_geomformer.settings.shown import Shown

# Ensembles of which the probability of a structure is known, which exchanges need.
CANONICAL = ("nvt-langevin", "nvt-bussi", "nvt-nose-hoover", "npt-mtk")


@dataclass(frozen=True)
class ReplicaSettings(Shown):
    """Settings of a set of replicas, in addition to those of molecular dynamics.

    Attributes
    ----------
    copies : int or None
        Number of replicas; by default, the number of temperatures or seeds.
    temperatures_K : list of float or None
        Temperature of each replica, instead of temperature_K.
    seeds : list of int or None
        Random seed of each replica; by default seed, seed + 1, and so on.
    exchange_interval : int or None
        Number of steps between attempted exchanges of temperatures, which must then increase; no
        exchanges by default.

    Raises
    ------
    ValueError
        If a value is out of range, or the numbers of replicas do not agree.
    """

    copies: int | None = ranged(None, 1, 10_000)
    temperatures_K: list[float] | None = ranged(None, 0, 1e6, "K", above=True)
    seeds: list[int] | None = ranged(None, 0, 2**63 - 1)
    exchange_interval: int | None = ranged(None, 1, 10**12)

    def __post_init__(self) -> None:
        check_settings(self)
        given = {name: len(values) for name, values in self._lists().items()}
        if self.copies is not None:
            given["copies"] = self.copies
        if not given or min(given.values()) < 1:
            raise ValueError("there are no replicas: give copies, temperatures_K or seeds")
        if len(set(given.values())) > 1:
            numbers = ", ".join(f"{number} by {name}" for name, number in given.items())
            raise ValueError(f"the numbers of replicas disagree: {numbers}")
        if self.exchange_interval is None:
            return
        ladder = self.temperatures_K or []
        if len(ladder) < 2 or any(b <= a for a, b in pairwise(ladder)):
            raise ValueError(
                f"temperatures_K = {self.temperatures_K} must be at least "
                "two increasing values for replica exchange"
            )

    def _lists(self) -> dict[str, list[float] | list[int]]:
        lists = {"temperatures_K": self.temperatures_K, "seeds": self.seeds}
        return {name: values for name, values in lists.items() if values is not None}

    @property
    def number(self) -> int:
        """How many replicas there are."""
        return self.copies or max(len(values) for values in self._lists().values())

    def each(self, settings: MDSettings) -> list[MDSettings]:
        """The settings of every replica.

        Raises
        ------
        ValueError
            If exchanges are asked of an ensemble that has no temperature to exchange.
        """
        if self.exchange_interval is not None:
            if settings.ensemble not in CANONICAL:
                raise ValueError(
                    f"{settings.ensemble} cannot exchange temperatures, because the probability "
                    f"of its structures is not known; take one of {', '.join(CANONICAL)}"
                )
            if settings.temperature_end_K is not None:
                raise ValueError("temperature_end_K cannot be combined with exchange_interval")
        temperatures = self.temperatures_K or [settings.temperature_K] * self.number
        seeds = self.seeds or [settings.seed + index for index in range(self.number)]
        return [
            replace(settings, temperature_K=float(kelvin), seed=seed)
            for kelvin, seed in zip(temperatures, seeds, strict=True)
        ]
