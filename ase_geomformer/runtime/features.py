"""Features of atoms: what enters the last, linear layer of the energy."""

from __future__ import annotations

import torch
from torch import Tensor

from ase_geomformer.graph.atom_graph import AtomGraph
from ase_geomformer.layers.readout import EnergyHead, energy_head
from ase_geomformer.potential import Potential


def head_of(potential: Potential) -> EnergyHead:
    """The part of a potential that makes energies of features.

    Raises
    ------
    ValueError
        If its architecture has none.
    """
    head = energy_head(potential.architecture)
    if head is None:
        raise ValueError(
            f"the architecture {potential.architecture.name!r} has no energy_head of the class "
            "EnergyHead, whose last layer has the features"
        )
    return head


def atom_features(potential: Potential, graph: AtomGraph) -> Tensor:
    """Features (N, D) of the atoms of a graph, by an evaluation without gradients."""
    with torch.no_grad(), head_of(potential).observed() as found:
        potential.architecture(graph)
    return found[0]


def scaled_features(potential: Potential, features: Tensor, numbers: Tensor) -> Tensor:
    """Features times what they are multiplied with besides the last layer's weights, in eV."""
    scales = head_of(potential).scales
    scaled = potential.energy_scale * features.double()
    return scaled if scales is None else scaled * scales.detach()[numbers, None].double()
