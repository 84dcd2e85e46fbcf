"""Settings of the students."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ase_geomformer.architectures.base import architecture_class
from ase_geomformer.settings.checks import check_settings
from ase_geomformer.settings.plain import settings_from
from ase_geomformer.settings.ranges import ranged
from ase_geomformer.settings.shown import Shown

# Maximum learning rates from nothing and of fine-tuning.
FRESH_RATE, TUNING_RATE = 1.5e-2, 2e-3
# Small enough to train in minutes on a CPU.
SMALL = {
    "so3krates": {
        "cutoff": 5.0,
        "num_features": 64,
        "num_layers": 2,
        "degrees": [1, 2],
        "energy_width": 64,
    }
}


@dataclass(frozen=True)
class StudentSettings(Shown):
    """The potentials that learn.

    Attributes
    ----------
    members : int
        Number of potentials, which differ in their initial weights and the order of their batches;
        fine-tuned ones start from weights with 5 % noise.
    start_from : str or None
        Name or path of a potential that is fine-tuned, instead of new ones; architecture, settings
        and terms are then its own.
    architecture : str
        Registered name of the architecture.
    settings : dict
        Its hyperparameters; those of a small So3krates (64 features, 2 layers, cutoff 5 Å) by
        default.
    terms : dict
        Additional energy terms by name, with their settings.
    batch_size : int
        Number of structures in a batch.
    learning_rate : float or None
        Maximum learning rate; by default 0.015, and 0.002 for fine-tuning.
    stress_weight : float
        Weight of stresses in the loss, where the teacher gives them.

    Raises
    ------
    ValueError
        If a value is out of range, or the architecture does not take its settings.
    """

    members: int = ranged(3, 2, 20)
    start_from: str | None = None
    architecture: str = "so3krates"
    settings: dict[str, Any] = field(default_factory=dict)
    terms: dict[str, dict[str, Any]] = field(
        default_factory=lambda: {"zbl": {"covalent_fraction": 0.75}}
    )
    batch_size: int = ranged(5, 1, 10**6)
    learning_rate: float | None = ranged(None, 0, 1, above=True)
    stress_weight: float = ranged(10.0, 0, 1e9)

    def __post_init__(self) -> None:
        check_settings(self)
        if self.start_from is not None:
            if self.settings:
                raise ValueError(
                    f"settings and start_from = {self.start_from!r} exclude one another: a "
                    "potential to fine-tune has settings of its own"
                )
            return
        found = architecture_class(self.architecture)
        settings_from(self.architecture, found.settings_class, self.hyperparameters)

    @property
    def rate(self) -> float:
        """Maximum learning rate."""
        if self.learning_rate is not None:
            return self.learning_rate
        return FRESH_RATE if self.start_from is None else TUNING_RATE

    @property
    def hyperparameters(self) -> dict[str, Any]:
        """The architecture's settings that differ from its own defaults."""
        return {**SMALL.get(self.architecture, {}), **self.settings}
