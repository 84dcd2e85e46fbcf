"""Networks that predict where charged particles are one time unit ahead: GeoMFormer and EGNN."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from charged_particles import DURATION, PARTICLES
from torch import Tensor, nn

from ase_geomformer.architectures.geomformer.blocks import Block
from ase_geomformer.architectures.geomformer.equivariant import VectorReadout
from ase_geomformer.architectures.geomformer.settings import GeoMFormerSettings
from ase_geomformer.graph.segments import Segments
from ase_geomformer.layers.dense import dense
from ase_geomformer.layers.edges import Edges
from ase_geomformer.layers.harmonics import SphericalHarmonics, distances_and_directions
from ase_geomformer.layers.radial import GaussianBasis

FORMS = {
    "paper": {"edge_values": False, "directional_messages": False},
    "strengthened": {"edge_values": True, "directional_messages": True},
}
"""Settings of the model beyond the paper's form, by name."""


class Predictor(nn.Module):
    """Positions one time unit ahead: straight motion, and what GeoMFormer's vectors add to it.

    Parameters
    ----------
    settings : GeoMFormerSettings
        Of the blocks.
    """

    def __init__(self, settings: GeoMFormerSettings) -> None:
        super().__init__()
        width, streams = settings.num_features, settings.streams
        self.basis = GaussianBasis(settings.num_radial_basis, settings.cutoff)
        self.harmonics = SphericalHarmonics(streams.degrees)
        self.charges, self.senders = nn.Embedding(2, width), nn.Embedding(2, width)
        self.centrality = dense(settings.num_radial_basis, width)
        self.speed = dense(settings.num_radial_basis, width)
        # Channels of e from the places relative to the centre, and from the velocities.
        self.places = dense(settings.num_radial_basis, width)
        self.velocities = dense(settings.num_radial_basis, width)
        self.blocks = nn.ModuleList(
            [Block(settings, streams, names) for names in settings.modules_by_layer]
        )
        self.norm = streams.norm_e()
        self.head = VectorReadout(width, first=0)

    def forward(self, charges: Tensor, positions: Tensor, velocities: Tensor) -> Tensor:
        """Charges (B, 5), positions and velocities (B, 5, 3) to positions (B, 5, 3)."""
        centred = (positions - positions.mean(dim=1, keepdim=True)).flatten(0, 1)
        kinds = (charges.flatten() > 0).long()
        edges = self.edges(positions)
        sent = self.centrality(edges.radial) * edges.senders.gather(self.senders(kinds))
        x = self.charges(kinds) + edges.receivers.sum(sent)
        moving, e = self.vectors(velocities.flatten(0, 1), self.velocities)
        x = x + self.speed(moving)
        e = e + self.vectors(centred, self.places)[1]
        for block in self.blocks:
            x, e = block(x, e, edges)
        change = self.head(self.norm(e)).view_as(positions)
        return positions + velocities * DURATION + change

    def edges(self, positions: Tensor) -> Edges:
        """All ordered pairs of particles of each system."""
        systems, count, _ = positions.shape
        there = 1 - torch.eye(count, dtype=torch.long, device=positions.device)
        pairs = there.nonzero().repeat(systems, 1)
        first = count * torch.arange(systems, device=positions.device)
        receiver, sender = (pairs + first.repeat_interleave(count * (count - 1))[:, None]).unbind(1)
        flat = positions.flatten(0, 1)
        distances, directions = distances_and_directions(flat[sender] - flat[receiver])
        return Edges(
            receivers=Segments.of(receiver, len(flat)),
            senders=Segments.of(sender, len(flat)),
            radial=self.basis(distances),
            envelope=torch.ones_like(distances),
            harmonics=math.sqrt(4.0 * math.pi) * self.harmonics(directions),
        )

    def vectors(self, vectors: Tensor, channels: nn.Module) -> tuple[Tensor, Tensor]:
        """Basis of lengths (N, K), and directions times channels made of it (N, 3, F)."""
        lengths, directions = distances_and_directions(vectors)
        radial = self.basis(lengths)
        return radial, self.harmonics(directions)[:, :, None] * channels(radial)[:, None]


def settings_of(form: str, width: int, blocks: int) -> GeoMFormerSettings:
    """The paper's form for molecules, with a norm that differentiates well."""
    return GeoMFormerSettings(
        attention="all-pairs",
        scalar_component=False,
        max_degree=1,
        initial_vectors="centred",
        forces="direct",
        radial_basis="gaussian",
        cutoff=10.0,
        num_features=width,
        num_blocks=blocks,
        **FORMS[form],
    )


class EGNN(nn.Module):
    """Equivariant graph network of Satorras et al. (ICML 2021), with velocities (equations 3-7).

    Every layer moves the particles, so that the next one sees them elsewhere.

    Parameters
    ----------
    width, layers : int
    """

    def __init__(self, width: int, layers: int) -> None:
        super().__init__()
        self.speed = nn.Linear(1, width)
        self.layers = nn.ModuleList([EGNNLayer(width) for _ in range(layers)])

    def forward(self, charges: Tensor, positions: Tensor, velocities: Tensor) -> Tensor:
        """Charges (B, 5), positions and velocities (B, 5, 3) to positions (B, 5, 3)."""
        products = (charges[:, :, None] * charges[:, None])[..., None]
        features = self.speed(velocities.norm(dim=-1, keepdim=True))
        for layer in self.layers:
            features, positions = layer(features, positions, velocities, products)
        return positions


class EGNNLayer(nn.Module):
    """Messages between all pairs, moves of the positions along pairs and velocities."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.message = nn.Sequential(
            nn.Linear(2 * width + 2, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU()
        )
        along = nn.Linear(width, 1, bias=False)
        nn.init.xavier_uniform_(along.weight, gain=1e-3)  # begins close to straight motion
        self.along = nn.Sequential(nn.Linear(width, width), nn.SiLU(), along)
        self.velocity = nn.Sequential(nn.Linear(width, width), nn.SiLU(), nn.Linear(width, 1))
        self.update = nn.Sequential(nn.Linear(2 * width, width), nn.SiLU(), nn.Linear(width, width))

    def forward(
        self, features: Tensor, positions: Tensor, velocities: Tensor, products: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Features (B, 5, width), positions (B, 5, 3) and products of charges (B, 5, 5, 1)."""
        others = 1.0 - torch.eye(PARTICLES)[:, :, None]
        vectors = positions[:, :, None] - positions[:, None]
        squares = vectors.square().sum(dim=-1, keepdim=True)
        pairs = (-1, PARTICLES, PARTICLES, -1)
        ends = features[:, :, None].expand(pairs), features[:, None].expand(pairs)
        message = self.message(torch.cat([*ends, squares, products], dim=-1)) * others
        moves = (vectors * self.along(message) * others).sum(dim=2) / (PARTICLES - 1)
        positions = positions + moves + self.velocity(features) * velocities
        features = features + self.update(torch.cat([features, message.sum(dim=2)], dim=-1))
        return features, positions


def geomformer(form: str) -> Callable[[int, int], Predictor]:
    """What makes a GeoMFormer of that form from a width and a number of blocks."""
    return lambda width, blocks: Predictor(settings_of(form, width, blocks))


MODELS: dict[str, Callable[[int, int], nn.Module]] = {
    "GeoMFormer, paper's form": geomformer("paper"),
    "GeoMFormer, strengthened": geomformer("strengthened"),
    "EGNN": EGNN,
}
"""Models by name, made from a width and a number of layers."""
