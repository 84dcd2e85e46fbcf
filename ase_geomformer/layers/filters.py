"""Messages of steerable features without tensor products: filters of distance and direction.

Of everything a tensor product of a neighbour's features with the harmonics of the edge could give,
three parts are kept, which cost no more than products of numbers: scalars times harmonics, as in
SchNet and So3krates; features passed on degree by degree, as PaiNN passes vectors (Schütt, Unke,
Gastegger, ICML 2021); and the features' components along the edge, which are the m = 0 part of the
SO(2) convolutions of eSCN (Passaro and Zitnick, ICML 2023). All are filtered by networks of the
distance and weighed by an invariant gate of receiver and sender.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from ase_geomformer.layers.attention import Edges, head_sum
from ase_geomformer.layers.degree_linear import DegreeLinear, component_degrees
from ase_geomformer.layers.dense import dense
from ase_geomformer.layers.radial import RadialFunction
from ase_geomformer.layers.spline import SplinePoint


class RadialNetwork(RadialFunction):
    """Filters of the distance: one hidden layer on the radial basis."""

    def __init__(self, num_radial_basis: int, hidden_width: int, width: int) -> None:
        super().__init__()
        self.hidden = dense(num_radial_basis, hidden_width)
        self.final = dense(hidden_width, width)

    def of_radial(self, radial: Tensor) -> Tensor:
        """Basis (E, K) to filters (E, width)."""
        filters: Tensor = self.final(nn.functional.silu(self.hidden(radial)))
        return filters

    def forward(self, radial: Tensor | SplinePoint) -> Tensor:
        """What the edges hold of their distances to filters (E, width)."""
        return self.radial_values(radial)


class NeighbourDensity(nn.Module):
    """First steerable features: harmonics of the neighbours, filtered by distance and elements.

    Parameters
    ----------
    lmax, channels : int
    num_radial_basis, radial_width : int
        Width of the radial basis; hidden width of the filters.
    norm : float
        What sums over neighbours are divided by.
    """

    owner: Tensor

    def __init__(
        self, lmax: int, channels: int, num_radial_basis: int, radial_width: int, norm: float
    ) -> None:
        super().__init__()
        self.lmax, self.norm = lmax, norm
        self.filters = RadialNetwork(num_radial_basis, radial_width, (lmax + 1) * channels)
        self.sender = dense(channels, channels)
        self.receiver = dense(channels, channels)
        self.register_buffer("owner", component_degrees(lmax), persistent=False)

    def forward(self, scalars: Tensor, edges: Edges) -> Tensor:
        """Element features (N, C) to steerable features (N, (L+1)^2, C)."""
        pair = edges.senders.gather(self.sender(scalars)) * edges.envelope[:, None]
        filters = self.filters(edges.radial).unflatten(-1, (self.lmax + 1, -1)) * pair[:, None]
        message = filters.index_select(1, self.owner) * edges.harmonics[:, :, None]
        density = edges.receivers.sum(message) / self.norm
        return density * (1.0 + self.receiver(scalars))[:, None]


class FilterMessages(nn.Module):
    """Update of steerable features by what their neighbours send; see the module.

    Parameters
    ----------
    lmax, channels : int
    heads : int
        Independent gates of receiver and sender, each for a block of channels; 0 for none.
    num_radial_basis, radial_width : int
        Width of the radial basis; hidden width of the filters.
    norm : float
        What sums over neighbours are divided by.
    """

    owner: Tensor

    def __init__(
        self,
        lmax: int,
        channels: int,
        heads: int,
        *,
        num_radial_basis: int,
        radial_width: int,
        norm: float,
    ) -> None:
        super().__init__()
        self.lmax, self.channels, self.heads, self.norm = lmax, channels, heads, norm
        # Filters of harmonics (L+1), of features passed on (L), of components along the edge (L).
        num_filters = 3 * lmax + 1 + (heads > 0)
        self.filters = RadialNetwork(num_radial_basis, radial_width, num_filters * channels)
        self.value = dense(channels, (lmax + 1) * channels)
        if heads:
            self.query, self.key = dense(channels, channels), dense(channels, channels)
        self.out = DegreeLinear(lmax, channels, channels)
        self.register_buffer("owner", component_degrees(lmax), persistent=False)

    def forward(self, features: Tensor, edges: Edges) -> Tensor:
        """Features (N, (L+1)^2, C) to their update, of the same shape.

        ``edges.harmonics`` hold degrees 0 .. L.
        """
        scalars, degrees = features[:, 0], self.lmax + 1
        filters = self.filters(edges.radial).unflatten(-1, (-1, self.channels))
        of_harmonics, passed, along, of_gate = filters.split(
            [degrees, self.lmax, self.lmax, int(self.heads > 0)], dim=1
        )
        sent = edges.senders.gather(features)
        harmonics = edges.harmonics[:, :, None]
        # Components along the edge join the scalars that multiply the harmonics.
        value = edges.senders.gather(self.value(scalars)).unflatten(-1, (degrees, -1))
        components = (sent * harmonics)[:, 1:]
        for l in range(1, degrees):
            block = components[:, l * l - 1 : (l + 1) ** 2 - 1]
            value = value + (along[:, l - 1] * block.mean(dim=1))[:, None]
        message = (of_harmonics * value).index_select(1, self.owner) * harmonics
        steerable = passed.index_select(1, self.owner[1:] - 1) * sent[:, 1:]
        message = torch.cat([message[:, :1], message[:, 1:] + steerable], dim=1)
        weight = edges.envelope[:, None] / self.norm
        if self.heads:
            weight = weight * self.gate(scalars, of_gate[:, 0], edges)
        message = message * weight[:, None]
        return self.out(edges.receivers.sum(message))

    def gate(self, scalars: Tensor, filters: Tensor, edges: Edges) -> Tensor:
        """Weight (E, C) of every channel, between 0 and 2: 2 sigmoid(q_i . (f k_j)) per head."""
        query = edges.receivers.gather(self.query(scalars))
        key = edges.senders.gather(self.key(scalars))
        width = self.channels // self.heads
        logits = head_sum(query * filters * key, self.heads) / math.sqrt(width)
        return 2.0 * torch.sigmoid(logits).repeat_interleave(width, dim=-1)
