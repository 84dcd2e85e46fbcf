"""Settings of the students."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ase_geomformer.architectures.base import architecture_class
from ase_geomformer.settings.checks import check_settings
from ase_geomformer.settings.plain import settings_from
from ase_geomformer.settings.ranges import ranged
from ase_geomformer.settings.shown import Shown

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
        Number of potentials, which differ in their initial weights and the order of their batches.
    architecture : str
        Registered name of the architecture.
    settings : dict
        Its hyperparameters; those of a small So3krates (64 features, 2 layers, cutoff 5 Å) by
        default.
    terms : dict
        Additional energy terms by name, with their settings.
    batch_size : int
        Number of structures in a batch.
    learning_rate : float
        Maximum learning rate.
    stress_weight : float
        Weight of stresses in the loss, where the teacher gives them.

    Raises
    ------
    ValueError
        If a value is out of range, or the architecture does not take its settings.
    """

    members: int = ranged(3, 2, 20)
    architecture: str = "so3krates"
    settings: dict[str, Any] = field(default_factory=dict)
    terms: dict[str, dict[str, Any]] = field(
        default_factory=lambda: {"zbl": {"covalent_fraction": 0.75}}
    )
    batch_size: int = ranged(5, 1, 10**6)
    learning_rate: float = ranged(1.5e-2, 0, 1, above=True)
    stress_weight: float = ranged(10.0, 0, 1e9)

    def __post_init__(self) -> None:
        check_settings(self)
        found = architecture_class(self.architecture)
        settings_from(self.architecture, found.settings_class, self.hyperparameters)

    @property
    def hyperparameters(self) -> dict[str, Any]:
        """The architecture's settings that differ from its own defaults."""
        return {**SMALL.get(self.architecture, {}), **self.settings}
