"""What the restart file of a set of replicas must hold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, dataclass
from typing import Any, Literal

from ase_geomformer.md.replicas.settings import ReplicaSettings
from ase_geomformer.md.restart_facts import check_random_state, made_of
from ase_geomformer.md.settings import MDSettings
from ase_geomformer.settings.checks import check_settings, require
from ase_geomformer.settings.plain import settings_from
from ase_geomformer.settings.ranges import ranged


@dataclass(frozen=True, kw_only=True)
class SetFacts:
    """Facts of a set; see :func:`check_set`.

    Attributes
    ----------
    step : int
    settings, replicas : dict
        Of :class:`~ase_geomformer.md.MDSettings` and of
        :class:`~ase_geomformer.md.replicas.ReplicaSettings`.
    exchange : dict or None
        Of :class:`ExchangeFacts`.
    wall_time_s : float
    ended : dict
        Of :class:`EndedFacts`, by the number of the replica.
    live : dict
        Facts of the others, see :class:`~ase_geomformer.md.restart_facts.Facts`.
    """

    step: int = ranged(MISSING, 0, 10**12)
    settings: dict[str, Any]
    replicas: dict[str, Any]
    exchange: dict[str, Any] | None
    wall_time_s: float = ranged(MISSING, 0, 1e12)
    ended: dict[str, dict[str, Any]]
    live: dict[str, dict[str, Any]]

    def __post_init__(self) -> None:
        check_settings(self)
        settings = settings_from("settings", MDSettings, self.settings)
        require(self, self.step <= settings.steps, "step", f"at most {settings.steps}")


@dataclass(frozen=True, kw_only=True)
class EndedFacts:
    """What is known of a replica that has ended."""

    reason: str
    steps: int = ranged(MISSING, 0, 10**12)
    wall_time: float = ranged(MISSING, 0, 1e12)
    degrees_of_freedom: int = ranged(MISSING, 1, 10**12)
    initial_velocities: Literal["drawn", "structure"]

    def __post_init__(self) -> None:
        check_settings(self)


@dataclass(frozen=True, kw_only=True)
class ExchangeFacts:
    """State of the exchanges; see :class:`~ase_geomformer.md.replicas.exchange.Exchange`."""

    random_state: dict[str, Any]
    replica_at: list[int]
    attempts: list[int] = ranged(MISSING, 0, 10**12)
    accepted: list[int] = ranged(MISSING, 0, 10**12)

    def __post_init__(self) -> None:
        check_settings(self)
        count = len(self.replica_at)
        order = sorted(self.replica_at) == list(range(count))
        require(self, order, "replica_at", "each replica once")
        met = len(self.attempts) == len(self.accepted) == count - 1 and all(
            taken <= tried for taken, tried in zip(self.accepted, self.attempts, strict=True)
        )
        require(self, met, "accepted", "at most as many as attempts, for each pair")


def check_set(facts: Mapping[str, Any]) -> None:
    """Refuse facts of a set that are missing, of another type, out of range or contradictory.

    Raises
    ------
    ValueError
        With the name of the fact.
    """
    made_of(SetFacts, facts)
    replicas = settings_from("replicas", ReplicaSettings, facts["replicas"])
    found = sorted([*facts["live"], *facts["ended"]])
    if found != sorted(map(str, range(replicas.number))):
        raise ValueError(f"live and ended are {found}, not {replicas.number} replicas")
    for number, ended in facts["ended"].items():
        made_of(EndedFacts, ended, f"ended.{number}")
    targets: dict[str, float] = {}
    exchanges = replicas.exchange_interval is not None
    if exchanges != (facts["exchange"] is not None):
        raise ValueError("exchange must be there if and only if exchange_interval is")
    if exchanges:
        state = made_of(ExchangeFacts, facts["exchange"], "exchange")
        if len(state.replica_at) != replicas.number:
            raise ValueError(f"replica_at is not of {replicas.number} replicas")
        check_random_state(state.random_state, [facts["settings"]["seed"], replicas.number])
        ladder = zip(state.replica_at, replicas.temperatures_K or [], strict=True)
        targets = {str(index): temperature for index, temperature in ladder}
    for number, own in facts["live"].items():
        _check_live(own, facts["step"], exchanges, number)
        # Before its first exchange it has the temperature of its settings, which is not repeated.
        told = own.get("exchanged_temperature_K")
        moved = exchanges and targets[number] != (replicas.temperatures_K or [])[int(number)]
        if told != targets.get(number) and (moved or told is not None):
            raise ValueError(
                f"live.{number}.exchanged_temperature_K is {str(told)[:60]}, and the exchanges "
                f"make it {targets.get(number)}"
            )


def _check_live(own: Mapping[str, Any], step: int, exchanges: bool, number: str) -> None:
    """Refuse a replica that does not fit its set."""
    if own.get("step") != step:
        raise ValueError(f"live.{number}.step is {str(own.get('step'))[:60]}, and the set's {step}")
    if own.get("exchanges", False) != exchanges:
        raise ValueError(f"live.{number}.exchanges must be {exchanges}")
