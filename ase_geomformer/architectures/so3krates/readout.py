"""All outputs of So3krates from the features of the atoms, with their gradient written out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ase_geomformer.graph.atom_graph import AtomGraph
from ase_geomformer.layers.activation import SLOPES
from ase_geomformer.layers.frozen import FrozenWeights
from ase_geomformer.layers.readout import ChargeHead, EnergyHead, HirshfeldHead
from ase_geomformer.layers.written_gradient import WrittenGradient

Head = EnergyHead | ChargeHead | HirshfeldHead
Further = ChargeHead | HirshfeldHead


class PackedHeads(FrozenWeights):
    """Frozen weights of heads with one hidden layer each, joined to two products for all."""

    def __init__(self, heads: Sequence[Head]) -> None:
        hidden = [head.hidden for head in heads if head.hidden is not None]
        # The first one here is not that of parameters(), which begins with shifts.
        weights = (weight for head in heads for weight in head.parameters())
        super().__init__((hidden[0].weight, *weights))
        with torch.no_grad():
            final = [head.final for head in heads]
            self.hidden = torch.cat([layer.weight for layer in hidden])
            self.hidden_bias = torch.cat([layer.bias for layer in hidden])
            self.final = torch.block_diag(*(layer.weight for layer in final))
            self.final_bias = torch.cat([layer.bias for layer in final])


@dataclass(frozen=True, eq=False)
class Readout(WrittenGradient):
    """Energies, and charges and Hirshfeld ratios where there are heads for them, (N,) each.

    Attributes
    ----------
    energy : EnergyHead
        With a hidden layer.
    further : tuple of modules
        Heads of the other outputs, in their order.
    packed : PackedHeads or None
        Made of ``(energy, *further)``; without it, there is only the formula.
    graph : AtomGraph
    """

    energy: EnergyHead
    further: tuple[Further, ...]
    packed: PackedHeads | None
    graph: AtomGraph

    @property
    def weights(self) -> Sequence[Tensor]:
        return self.packed.origin if self.packed is not None else ()

    def __call__(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        return self.formula(*inputs) if self.packed is None else super().__call__(*inputs)

    def formula(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        (x,) = inputs
        energies = self.energy(x, self.graph.atomic_numbers)
        return energies, *(head(x, self.graph) for head in self.further)

    def evaluate(self, *inputs: Tensor) -> tuple[tuple[Tensor, ...], Any]:
        (x,) = inputs
        packed = self.packed
        assert packed is not None
        hidden = nn.functional.linear(x, packed.hidden, packed.hidden_bias)
        active = self.energy.activation(hidden)
        if self.energy.observer is not None:
            self.energy.observer(active[:, : self.energy.final.in_features])
        values = nn.functional.linear(active, packed.final, packed.final_bias)
        outputs, backs, start = [], [], 0
        for head in (self.energy, *self.further):
            width = head.final.out_features
            output, back = head.written(values[:, start : start + width], self.graph)
            outputs.append(output)
            backs.append(back)
            start += width
        return tuple(outputs), (hidden, backs)

    def gradient(
        self, inputs: tuple[Tensor, ...], kept: Any, slopes: tuple[Tensor, ...]
    ) -> tuple[Tensor, ...]:
        assert self.packed is not None
        hidden, backs = kept
        by_values = torch.cat([back(slope) for back, slope in zip(backs, slopes, strict=True)], 1)
        by_active = by_values @ self.packed.final
        by_hidden = SLOPES[self.energy.activation](by_active, hidden)
        return (by_hidden @ self.packed.hidden,)
