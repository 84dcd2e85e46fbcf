"""Readout of atomic energies, charges and Hirshfeld ratios.

Each head is a network of the features and a function of what that gives, whose gradient is
written out as well: ``written`` takes the values (N, width) of the network, and returns the output
(N,) and the function that takes slopes (N,) back to (N, width).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from ase_geomformer.graph.atom_graph import AtomGraph
from ase_geomformer.layers.activation import ACTIVATIONS
from ase_geomformer.layers.dense import dense
from ase_geomformer.layers.embedding import NUM_ELEMENTS

# An output, and the way back from its slopes to those of the values it was made of.
Written = tuple[Tensor, Callable[[Tensor], Tensor]]


class EnergyHead(nn.Module):
    """Energy of each atom (N,) from its features, with optional scales and shifts per element.

    Parameters
    ----------
    num_features : int
    hidden_width : int, optional
        None for one linear map.
    activation : str
    scales, shifts : bool
        Learn a factor and an offset for each element.

    Attributes
    ----------
    observer : callable or None
        Called at each evaluation with what enters the last, linear layer, (N, D).
    """

    def __init__(
        self,
        num_features: int,
        hidden_width: int | None,
        activation: str = "silu",
        *,
        scales: bool = False,
        shifts: bool = False,
    ) -> None:
        super().__init__()
        self.activation = ACTIVATIONS[activation]
        self.hidden = dense(num_features, hidden_width) if hidden_width else None
        self.final = dense(hidden_width or num_features, 1)
        self.scales = nn.Parameter(torch.ones(NUM_ELEMENTS)) if scales else None
        self.shifts = nn.Parameter(torch.zeros(NUM_ELEMENTS)) if shifts else None
        self.observer: Callable[[Tensor], None] | None = None

    def forward(self, x: Tensor, atomic_numbers: Tensor) -> Tensor:
        if self.hidden is not None:
            x = self.activation(self.hidden(x))
        if self.observer is not None:
            self.observer(x)
        energies = self.final(x).squeeze(-1)
        if self.scales is not None:
            energies = energies * self.scales[atomic_numbers]
        if self.shifts is not None:
            energies = energies + self.shifts[atomic_numbers]
        return energies

    def written(self, values: Tensor, graph: AtomGraph) -> Written:
        energies, scales = values[:, 0], None
        if self.scales is not None:
            scales = self.scales.index_select(0, graph.atomic_numbers)
            energies = energies * scales
        if self.shifts is not None:
            energies = energies + self.shifts.index_select(0, graph.atomic_numbers)

        def back(slopes: Tensor) -> Tensor:
            return (slopes if scales is None else slopes * scales)[:, None]

        return energies, back

    @contextmanager
    def observed(self) -> Iterator[list[Tensor]]:
        """The features (N, D) of every evaluation inside a ``with`` block; not of compiled code."""
        found: list[Tensor] = []
        before, self.observer = self.observer, found.append
        try:
            yield found
        finally:
            self.observer = before


def energy_head(architecture: nn.Module) -> EnergyHead | None:
    """The part of an architecture that makes energies of features; None if it has none."""
    head = getattr(architecture, "energy_head", None)
    return head if isinstance(head, EnergyHead) else None


class ChargeHead(nn.Module):
    """Partial charges (N,) in e from features, which sum to the charge of their structure.

    What is missing to the total is shared equally by the atoms of the structure.

    Parameters
    ----------
    num_features, hidden_width : int
    activation : str
    """

    def __init__(self, num_features: int, hidden_width: int, activation: str = "silu") -> None:
        super().__init__()
        self.activation = ACTIVATIONS[activation]
        self.hidden = dense(num_features, hidden_width)
        self.final = dense(hidden_width, 1)
        self.shifts = nn.Parameter(torch.zeros(NUM_ELEMENTS))

    def forward(self, x: Tensor, graph: AtomGraph) -> Tensor:
        own = self.final(self.activation(self.hidden(x))).squeeze(-1)
        own = own + self.shifts[graph.atomic_numbers]
        structures = graph.structures
        missing = graph.charge - structures.sum(own)
        return own + structures.gather(missing / structures.sum(torch.ones_like(own)))

    def written(self, values: Tensor, graph: AtomGraph) -> Written:
        structures = graph.structures
        own = values[:, 0] + self.shifts.index_select(0, graph.atomic_numbers)
        counts = structures.sum(torch.ones_like(own))
        missing = (graph.charge - structures.sum(own)) / counts

        def back(slopes: Tensor) -> Tensor:
            return (slopes - structures.gather(structures.sum(slopes) / counts))[:, None]

        return own + structures.gather(missing), back


class HirshfeldHead(nn.Module):
    """Ratios (N,) of the volume of an atom in its molecule to that of the free atom.

    |v_Z + e_Z . f / sqrt(F/2)| with a shift v and an embedding e of each element, and F/2 numbers
    f from the features of the atom.

    Parameters
    ----------
    num_features, hidden_width : int
        The number of features must be even.
    activation : str
    """

    def __init__(self, num_features: int, hidden_width: int, activation: str = "silu") -> None:
        super().__init__()
        self.activation = ACTIVATIONS[activation]
        self.hidden = dense(num_features, hidden_width)
        self.final = dense(hidden_width, num_features // 2)
        self.shifts = nn.Parameter(torch.ones(NUM_ELEMENTS))
        self.elements = nn.Embedding(NUM_ELEMENTS, num_features // 2)

    def forward(self, x: Tensor, graph: AtomGraph) -> Tensor:
        features = self.final(self.activation(self.hidden(x)))
        elements = self.elements(graph.atomic_numbers)
        change = (elements * features).sum(dim=-1) / math.sqrt(features.shape[-1])
        return torch.abs(self.shifts[graph.atomic_numbers] + change)

    def written(self, values: Tensor, graph: AtomGraph) -> Written:
        numbers = graph.atomic_numbers
        elements = self.elements.weight.index_select(0, numbers) / math.sqrt(values.shape[-1])
        ratios = (elements * values).sum(dim=-1) + self.shifts.index_select(0, numbers)

        def back(slopes: Tensor) -> Tensor:
            return (slopes * ratios.sign())[:, None] * elements

        return ratios.abs(), back
