"""Result of a set of replicas."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ase_geomformer.md.result import MDResult
from ase_geomformer.runs.result import DynamicsResult, Entry


@dataclass(frozen=True, eq=False, kw_only=True)
class ReplicasResult(DynamicsResult):
    """Result of a set of replicas.

    Attributes
    ----------
    completed : bool
        Whether every replica made all steps.
    reason : str
        Why the set ended.
    replicas : list of MDResult
    temperatures_K : list of float
        Of each replica at the start; with exchanges, the ladder.
    acceptance : list of float or None
        Share of the attempted exchanges between neighbouring temperatures that were accepted;
        empty without exchanges.
    wall_time : float
        Seconds that the set has taken.
    output : Path or None
    """

    replicas: list[MDResult]
    temperatures_K: list[float]
    acceptance: list[float | None]

    @property
    def ns_per_day(self) -> float:
        """Speed of all replicas together."""
        made_fs = sum(result.steps * result.timestep_fs for result in self.replicas)
        return made_fs * 1e-6 * 86400.0 / self.wall_time if self.wall_time > 0 else 0.0

    def at_temperature(self, temperature_K: float, equilibration_steps: int = 0) -> dict[str, Any]:
        """The log at one temperature, whichever replica was there, in order of the steps.

        Parameters
        ----------
        temperature_K : float
            One of ``temperatures_K``.
        equilibration_steps : int
            Leave out what comes before.

        Returns
        -------
        dict of str to array
            By column of the log.
        """
        if temperature_K not in self.temperatures_K:
            raise ValueError(f"{temperature_K} K is none of {self.temperatures_K}")
        parts = []
        for start_K, result in zip(self.temperatures_K, self.replicas, strict=True):
            log = result.log
            if not log:  # stopped before its first row
                continue
            targets = log.get("target_temperature_K", np.full(len(log["step"]), start_K))
            kept = (targets == temperature_K) & (log["step"] >= equilibration_steps)
            parts.append({name: values[kept] for name, values in log.items()})
        joined = _join(parts)
        if not joined:
            return {}
        order = np.argsort(joined["step"], kind="stable")
        return {name: values[order] for name, values in joined.items()}

    def entries(self) -> list[Entry]:
        """The last structure of each replica, called as its folder."""
        return [
            replace(entry, name=f"replica_{place}")
            for place, one in enumerate(self.replicas)
            for entry in one.entries()
        ]

    def summary(self) -> dict[str, Any]:
        return {
            **super().summary(),
            "ns_per_day": self.ns_per_day,
            "temperatures_K": self.temperatures_K,
            "acceptance": self.acceptance,
            "replicas": [result.summary() for result in self.replicas],
        }


def _join(parts: Sequence[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    names = parts[0] if parts else {}
    return {name: np.concatenate([part[name] for part in parts]) for name in names}
