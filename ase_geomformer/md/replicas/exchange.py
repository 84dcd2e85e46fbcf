"""Replica exchange."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from ase import units

from ase_geomformer.md.simulation import Simulation


class Exchange:
    """Metropolis exchanges of temperatures between neighbours of a ladder.

    Replicas of neighbouring temperatures swap them with probability min(1, exp(Δ)), where
    Δ = (1/kT_i - 1/kT_j) (H_i - H_j), and H is the potential energy and, under a barostat, PV
    (Sugita and Okamoto, Chem. Phys. Lett. 314, 141 (1999); Okabe et al., Chem. Phys. Lett. 335,
    435 (2001)). All momenta are scaled to the new temperature. Even and odd pairs take turns.

    Parameters
    ----------
    temperatures_K : sequence of float
        The ladder, increasing.
    interval : int
        Steps between exchanges.
    seed : int
    """

    def __init__(self, temperatures_K: Sequence[float], interval: int, seed: int) -> None:
        self.temperatures_K, self.interval = list(temperatures_K), interval
        # A stream of its own, which no seed of a replica gives.
        self.rng = np.random.default_rng([seed, len(self.temperatures_K)])
        pairs = len(self.temperatures_K) - 1
        self.replica_at = list(range(pairs + 1))
        self.attempts, self.accepted = [0] * pairs, [0] * pairs

    @property
    def acceptance(self) -> list[float | None]:
        """Acceptance ratio of each pair of temperatures; None before the first attempt."""
        pairs = zip(self.accepted, self.attempts, strict=True)
        return [taken / tried if tried else None for taken, tried in pairs]

    def is_due(self, step: int) -> bool:
        return step > 0 and step % self.interval == 0

    def __call__(self, simulations: Sequence[Simulation], step: int) -> None:
        """Try to exchange every other pair."""
        for low in range((step // self.interval) % 2, len(self.attempts), 2):
            cold, hot = (simulations[self.replica_at[low + end]] for end in (0, 1))
            inverse = [1.0 / (units.kB * self.temperatures_K[low + end]) for end in (0, 1)]
            exponent = (inverse[0] - inverse[1]) * (_enthalpy(cold) - _enthalpy(hot))
            self.attempts[low] += 1
            if self.rng.random() >= np.exp(min(0.0, exponent)):
                continue
            self.accepted[low] += 1
            cold.take_temperature(self.temperatures_K[low + 1])
            hot.take_temperature(self.temperatures_K[low])
            pair = self.replica_at[low : low + 2]
            self.replica_at[low : low + 2] = pair[::-1]

    def state(self) -> dict[str, Any]:
        """State for the restart file."""
        return {
            "random_state": self.rng.bit_generator.state,
            "replica_at": list(self.replica_at),
            "attempts": list(self.attempts),
            "accepted": list(self.accepted),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Restore what :meth:`state` gave."""
        self.rng.bit_generator.state = state["random_state"]
        self.replica_at = list(state["replica_at"])
        self.attempts, self.accepted = list(state["attempts"]), list(state["accepted"])


def _enthalpy(simulation: Simulation) -> float:
    """Potential energy in eV and, under a barostat, pressure times volume."""
    energy = float(simulation.atoms.get_potential_energy())
    if not simulation.ensemble.has_barostat:
        return energy
    pressure = simulation.settings.pressure_GPa * units.GPa
    return energy + pressure * float(simulation.atoms.get_volume())
