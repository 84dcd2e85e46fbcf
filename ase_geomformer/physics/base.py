"""What every energy term is: a graph and the architecture's outputs in, energies in eV out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, ClassVar

from ase.units import Bohr, Hartree
from torch import Tensor, nn

from ase_geomformer.graph.atom_graph import AtomGraph

COULOMB = Hartree * Bohr  # e^2 / (4 pi epsilon_0) in eV Å


class EnergyTerm(nn.Module, ABC):
    """Base class of the terms.

    A subclass names its frozen settings dataclass as ``settings_class``, takes the settings as
    its only argument, and keeps the promises of an architecture: O(3) invariance, two
    derivatives, C2 at its cutoff.
    """

    settings_class: ClassVar[type]
    # What the term reads of the architecture's outputs, besides the energies.
    requires: ClassVar[tuple[str, ...]] = ()
    # Whether it sums over the reciprocal lattice, from positions and cells instead of pairs.
    is_reciprocal: ClassVar[bool] = False
    settings: Any

    def __init__(self, settings: Any) -> None:
        super().__init__()
        self.settings = settings

    @property
    @abstractmethod
    def cutoff(self) -> float:
        """Radius in Å of the edges the term needs; a potential's graph must reach as far."""

    @property
    def far_cutoff(self) -> float:
        """Radius in Å of the far pairs the term needs: 0 for none, infinite for all."""
        return 0.0

    @abstractmethod
    def forward(self, graph: AtomGraph, outputs: Mapping[str, Tensor]) -> Tensor:
        """Energies (N,) in eV; ``outputs`` is what the architecture gave for the graph."""

    def settings_dict(self) -> dict[str, Any]:
        """The settings as plain values, as the card stores them."""
        return asdict(self.settings)
