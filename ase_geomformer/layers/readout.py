"""From the features of an atom to its energy."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ase_geomformer.layers.activation import ACTIVATIONS
from ase_geomformer.layers.dense import dense
from ase_geomformer.layers.embedding import NUM_ELEMENTS


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

    def forward(self, x: Tensor, atomic_numbers: Tensor) -> Tensor:
        if self.hidden is not None:
            x = self.activation(self.hidden(x))
        energies = self.final(x).squeeze(-1)
        if self.scales is not None:
            energies = energies * self.scales[atomic_numbers]
        if self.shifts is not None:
            energies = energies + self.shifts[atomic_numbers]
        return energies
