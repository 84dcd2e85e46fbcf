"""A small equivariant network: scalars and vectors on every atom, passed along the edges.

After PaiNN (Schütt, Unke and Gastegger, ICML 2021), without its norms of vectors, whose gradient
is undefined where symmetry makes them zero.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ase_geomformer.architectures.base import Architecture
from ase_geomformer.graph.atom_graph import AtomGraph
from ase_geomformer.layers.cutoff import quintic_cutoff
from ase_geomformer.layers.dense import dense
from ase_geomformer.layers.embedding import element_embedding
from ase_geomformer.layers.harmonics import distances_and_directions
from ase_geomformer.layers.radial import FadedBasis, PhysNetBasis, RadialLinear
from ase_geomformer.layers.readout import EnergyHead


@dataclass(frozen=True)
class TinyPaiNNSettings:
    """Hyperparameters; ``cutoff`` in Å."""

    cutoff: float = 5.0
    num_features: int = 32
    num_layers: int = 2
    num_radial_basis: int = 16

    def __post_init__(self) -> None:
        if self.cutoff <= 0:
            raise ValueError(f"cutoff must be positive, not {self.cutoff} Å")


class Layer(nn.Module):
    """One exchange of messages."""

    def __init__(self, width: int, num_radial_basis: int) -> None:
        super().__init__()
        # Without a bias, the filter vanishes with the basis at the cutoff.
        self.filter = RadialLinear(num_radial_basis, 3 * width, bias=False)
        self.sender = nn.Sequential(dense(width, width), nn.SiLU(), dense(width, 3 * width))
        self.update = nn.Sequential(dense(2 * width, width), nn.SiLU(), dense(width, width))

    def forward(
        self, x: Tensor, v: Tensor, radial: Tensor, directions: Tensor, graph: AtomGraph
    ) -> tuple[Tensor, Tensor]:
        """Scalars (N, F) and vectors (N, 3, F) to the same; ``radial`` (E, K)."""
        weights = self.filter(radial) * graph.senders.gather(self.sender(x))
        scalars, along, carried = weights[:, None, :].chunk(3, dim=-1)
        vectors = along * directions[:, :, None] + carried * graph.senders.gather(v)
        x = x + graph.receivers.sum(scalars.squeeze(1))
        v = v + graph.receivers.sum(vectors)
        return x + self.update(torch.cat([x, (v * v).sum(dim=1)], dim=-1)), v


class TinyPaiNN(Architecture, name="tiny-painn", settings=TinyPaiNNSettings):
    """The network: embedding, layers, energy of each atom."""

    def __init__(self, settings: TinyPaiNNSettings) -> None:
        super().__init__(settings)
        width, num_basis = settings.num_features, settings.num_radial_basis
        basis = PhysNetBasis(num_basis, settings.cutoff)
        self.radial_basis = FadedBasis(basis, quintic_cutoff, settings.cutoff)
        self.embedding = element_embedding(width)
        self.layers = nn.ModuleList(Layer(width, num_basis) for _ in range(settings.num_layers))
        self.energy = EnergyHead(width, width)

    def forward(self, graph: AtomGraph) -> dict[str, Tensor]:
        distances, directions = distances_and_directions(graph.edge_vectors)
        radial = self.radial_basis(distances)
        x = self.embedding(graph.atomic_numbers)
        v = x.new_zeros(len(x), 3, x.shape[1])
        for layer in self.layers:
            x, v = layer(x, v, radial, directions, graph)
        return {"energies": self.energy(x, graph.atomic_numbers)}
